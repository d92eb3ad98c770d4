//! Lists of instances: begun, continued, and ended on the host.

use std::collections::VecDeque;
use std::fmt;

use tokio::runtime::Handle;
use winrm_proto::enumeration::{self as proto, Association, Filter, Item, Mode, Page, Polymorphism, Pull, Release};
use winrm_proto::header::Selector;
use winrm_proto::resource::Resource;

use crate::error::{Error, ErrorKind};
use crate::operations::is_timeout;
use crate::session::message_id;
use crate::wsman::WsMan;

/// How many instances one answer may hold: as many as fit, as Windows' own client asks.
const MAX_ELEMENTS: u32 = 32_000;

/// So many answers in a row may hold nothing; a list that goes on like that has no end.
const MAX_EMPTY_ANSWERS: usize = 1_000;

/// Describes a list of instances; made by [`WsMan::enumerate`].
#[derive(Clone, Debug)]
#[must_use = "a list is begun by `start` or `collect`"]
pub struct Enumerate {
    wsman: WsMan,
    request: proto::Enumerate,
}

impl Enumerate {
    pub(crate) fn new(wsman: WsMan, resource: Resource) -> Self {
        let mut request = proto::Enumerate::new(resource);
        request.max_elements = Some(MAX_ELEMENTS);
        Self { wsman, request }
    }

    /// Lists what a query in WMI's language finds: a whole one (`select Name from Win32_Service where …`), or the condition alone
    /// (`StartMode='Auto'`) for the class that the resource names.
    pub fn wql(self, query: impl Into<String>) -> Self {
        self.filter(Filter::Wql(query.into()))
    }

    /// Lists those that have these keys.
    pub fn selectors<N: Into<String>, V: Into<String>>(self, selectors: impl IntoIterator<Item = (N, V)>) -> Self {
        let selectors = selectors.into_iter().map(|(name, value)| Selector::new(name, value));
        self.filter(Filter::Selectors(selectors.collect()))
    }

    /// Lists what is associated with an instance.
    pub fn association(self, association: Association) -> Self {
        self.filter(Filter::Association(association))
    }

    /// Lists what the filter takes.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.request.filter = Some(filter);
        self
    }

    /// What is told of each instance: by default its properties.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.request.mode = mode;
        self
    }

    /// What is told of instances of derived classes; hosts tell all by default.
    pub fn polymorphism(mut self, polymorphism: Polymorphism) -> Self {
        self.request.polymorphism = Some(polymorphism);
        self
    }

    /// How many instances one answer may hold at most; as many as fit by default.
    pub fn max_elements(mut self, max: u32) -> Self {
        self.request.max_elements = Some(max.max(1));
        self
    }

    /// Whether the host may send instances with its first answer already, which is so by default.
    pub fn optimize(mut self, optimize: bool) -> Self {
        self.request.optimize = optimize;
        self
    }

    /// Reads the whole list.
    ///
    /// # Errors
    /// When the host can't be reached or denies it: see [`ErrorKind`].
    pub async fn collect(self) -> Result<Vec<Item>, Error> {
        let mut enumeration = self.start().await?;
        let mut items = Vec::new();
        while let Some(item) = enumeration.next().await? {
            items.push(item);
        }
        Ok(items)
    }

    /// Begins the list.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub async fn start(mut self) -> Result<Enumeration, Error> {
        complete_query(&mut self.request);
        let Self { wsman, request } = self;
        let body = request.write(wsman.session().header(), &message_id());
        let purpose = format!("list {}", request.resource);
        let page = wsman.ask("Enumerate", &purpose, false, body, Page::read).await?;
        let mut enumeration = Enumeration {
            wsman,
            purpose,
            resource: request.resource,
            max_elements: request.max_elements,
            context: None,
            items: VecDeque::new(),
            runtime: Handle::current(),
        };
        enumeration.accept(page);
        Ok(enumeration)
    }
}

/// WMI takes queries for all classes of a namespace only, and whole ones.
fn complete_query(request: &mut proto::Enumerate) {
    let Some(Filter::Wql(query)) = &mut request.filter else { return };
    let class = request.resource.class().to_owned();
    if class == "*" {
        return;
    }
    let first = query.split_whitespace().next().unwrap_or_default();
    if !first.eq_ignore_ascii_case("select") {
        *query = if query.trim().is_empty() {
            format!("select * from {class}")
        } else {
            format!("select * from {class} where {}", query.trim())
        };
    }
    let uri = &mut request.resource.uri;
    uri.truncate(uri.trim_end_matches('/').len() - class.len());
    uri.push('*');
}

/// A list under way. Dropped before its end, it is ended on the host in the background;
/// [`Client::close`](crate::Client::close) waits for that.
pub struct Enumeration {
    wsman: WsMan,
    purpose: String,
    resource: Resource,
    max_elements: Option<u32>,
    /// What the host knows the rest of the list by; `None` when there is no rest.
    context: Option<String>,
    items: VecDeque<Item>,
    runtime: Handle,
}

impl Enumeration {
    /// The next instance; `None` behind the last.
    ///
    /// # Errors
    /// When the host can't be reached or ends the list: see [`ErrorKind`].
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        let mut empty = 0;
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            let Some(context) = self.context.clone() else {
                return Ok(None);
            };
            let pull = Pull {
                resource: self.resource.clone(),
                context,
                max_elements: self.max_elements,
            };
            let body = pull.write(self.wsman.session().header(), &message_id());
            match self.wsman.ask("Pull", &self.purpose, false, body, Page::read).await {
                Ok(page) => {
                    if page.items.is_empty() {
                        empty += 1;
                    }
                    self.accept(page);
                }
                // Classes that take long to list: the host goes on.
                Err(error) if error.as_fault().is_some_and(is_timeout) => {}
                Err(error) => {
                    if error.as_fault().is_some() {
                        self.context = None;
                    }
                    return Err(error);
                }
            }
            if empty > MAX_EMPTY_ANSWERS {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!(
                        "the host did not {}: its answers hold nothing, and there is no end of them",
                        self.purpose
                    ),
                ));
            }
        }
    }

    fn accept(&mut self, page: Page) {
        self.items.extend(page.items);
        // An answer that doesn't repeat the context goes on with the one before.
        self.context = if page.end { None } else { page.context.or(self.context.take()) };
    }
}

impl fmt::Debug for Enumeration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enumeration")
            .field("resource", &self.resource.to_string())
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl Drop for Enumeration {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        let wsman = self.wsman.clone();
        let release = Release {
            resource: std::mem::take(&mut self.resource),
            context,
        };
        self.wsman.session().cleanups().spawn(&self.runtime, async move {
            let body = release.write(wsman.session().header(), &message_id());
            if let Err(error) = wsman.ask("Release", "end a list", false, body, |_| Ok(())).await {
                tracing::debug!(%error, "list not ended");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(resource: &str, query: &str) -> (String, String) {
        let mut request = proto::Enumerate::new(Resource::parse(resource).unwrap());
        request.filter = Some(Filter::Wql(query.to_owned()));
        complete_query(&mut request);
        let Some(Filter::Wql(query)) = request.filter else {
            panic!("no query")
        };
        (request.resource.to_string(), query)
    }

    #[test]
    fn a_condition_becomes_a_query_of_all_classes() {
        let of = |resource: &str, query: &str| (resource.to_owned(), query.to_owned());
        assert_eq!(
            completed("wmicimv2/Win32_Service", "StartMode='Auto'"),
            of("wmicimv2/*", "select * from Win32_Service where StartMode='Auto'")
        );
        assert_eq!(
            completed("wmicimv2/Win32_Service", "Select Name from X"),
            of("wmicimv2/*", "Select Name from X")
        );
        assert_eq!(completed("wmi/root/x/*", "select 1"), of("wmi/root/x/*", "select 1"));
        assert_eq!(completed("wmi/root/x/Y", " "), of("wmi/root/x/*", "select * from Y"));
    }
}
