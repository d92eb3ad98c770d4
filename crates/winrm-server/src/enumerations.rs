//! Lists of instances that clients read page by page, [DSP0226] 8.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::{Duration, Instant};
use winrm_proto::enumeration::{Item, Page};

use crate::faults::{self, Refusal};
use crate::shells::{Operation, new_id};

/// The lists that are not at their end.
#[derive(Default)]
pub(crate) struct Enumerations {
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    user: String,
    resource_uri: String,
    items: VecDeque<Item>,
    last_pull: Instant,
    timeout: Duration,
    /// A list counts as one of its user's operations as long as it is open.
    _operation: Operation,
}

/// How much a page may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) items: usize,
    /// Bytes of an envelope.
    pub(crate) bytes: usize,
}

/// What a page takes beside its items: headers, tags, the context.
const PAGE_OVERHEAD: usize = 2_048;

/// What an item takes beside its content: the tags around it.
const ITEM_OVERHEAD: usize = 64;

impl Enumerations {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a list with a page that has this much room; the rest is kept for Pulls.
    pub(crate) fn begin(
        self: &Arc<Self>,
        user: &str,
        resource_uri: &str,
        items: Vec<Item>,
        room: Room,
        timeout: Duration,
        operation: Operation,
    ) -> Result<Page, Refusal> {
        let mut items = VecDeque::from(items);
        // The client hasn't asked for items yet, it may take them when it does.
        let first = if room.items == 0 { Vec::new() } else { take(&mut items, room)? };
        if items.is_empty() && room.items > 0 {
            return Ok(Page {
                context: None,
                items: first,
                end: true,
            });
        }
        let context = format!("uuid:{}", new_id());
        let open = Open {
            user: user.to_owned(),
            resource_uri: resource_uri.to_owned(),
            items,
            last_pull: Instant::now(),
            timeout,
            _operation: operation,
        };
        self.open().insert(context.clone(), open);
        tokio::spawn(watch(Arc::downgrade(self), context.clone()));
        Ok(Page {
            context: Some(context),
            items: first,
            end: false,
        })
    }

    /// Goes on with a list. What doesn't fit stays for a Pull with more room.
    pub(crate) fn pull(&self, user: &str, resource_uri: &str, context: &str, room: Room, timeout: Duration) -> Result<Page, Refusal> {
        let mut open = self.open();
        let found = open.get_mut(context).filter(|found| found.is_for(user, resource_uri));
        let found = found.ok_or_else(faults::enumeration_context)?;
        let items = take(&mut found.items, room)?;
        found.last_pull = Instant::now();
        found.timeout = timeout;
        if found.items.is_empty() {
            open.remove(context);
            return Ok(Page {
                context: None,
                items,
                end: true,
            });
        }
        Ok(Page {
            context: Some(context.to_owned()),
            items,
            end: false,
        })
    }

    /// Forgets a list.
    pub(crate) fn release(&self, user: &str, resource_uri: &str, context: &str) -> Result<(), Refusal> {
        let mut open = self.open();
        let found = open.get(context).filter(|found| found.is_for(user, resource_uri));
        found.ok_or_else(faults::enumeration_context)?;
        open.remove(context);
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn is_for(&self, user: &str, resource_uri: &str) -> bool {
        // A list is its user's alone, and a Pull says again what it is a list of.
        self.user == user && self.resource_uri.eq_ignore_ascii_case(resource_uri)
    }
}

/// Takes as many items as there is room for, at least one.
fn take(items: &mut VecDeque<Item>, room: Room) -> Result<Vec<Item>, Refusal> {
    let mut left = room.bytes.saturating_sub(PAGE_OVERHEAD);
    let mut page = Vec::new();
    while page.len() < room.items
        && let Some(next) = items.front()
    {
        let size = size(next)?;
        if size > left {
            if page.is_empty() {
                return Err(faults::answer_too_large());
            }
            break;
        }
        left -= size;
        page.extend(items.pop_front());
    }
    Ok(page)
}

/// What an item takes in an envelope, at most.
fn size(item: &Item) -> Result<usize, Refusal> {
    let unwritable = |error| {
        tracing::warn!(%error, "an instance can't be written");
        faults::unwritable()
    };
    let instance = item.instance.as_ref().map(|instance| instance.to_xml().map(|xml| xml.len()));
    let reference = item.reference.as_ref().map(|reference| reference.to_xml().map(|xml| xml.len()));
    let sizes = instance.transpose().map_err(unwritable)?.unwrap_or(0) + reference.transpose().map_err(unwritable)?.unwrap_or(0);
    Ok(sizes + ITEM_OVERHEAD)
}

/// Forgets a list when nobody has pulled for its timeout.
async fn watch(enumerations: Weak<Enumerations>, context: String) {
    loop {
        let end = {
            let Some(enumerations) = enumerations.upgrade() else { return };
            let mut open = enumerations.open();
            let Some(found) = open.get(&context) else { return };
            let end = found.last_pull.checked_add(found.timeout);
            if end.is_some_and(|end| end <= Instant::now()) {
                open.remove(&context);
                tracing::debug!(context, "enumeration expired");
                return;
            }
            end
        };
        match end {
            Some(end) => tokio::time::sleep_until(end).await,
            None => return,
        }
    }
}
