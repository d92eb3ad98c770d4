//! All open shells.

use std::sync::Arc;

use crate::host::AnyHost;
use crate::quotas::Quotas;

pub(crate) struct Shells {
    _host: Arc<dyn AnyHost>,
    _quotas: Quotas,
}

impl Shells {
    pub(crate) fn new(host: Arc<dyn AnyHost>, quotas: Quotas) -> Self {
        Self { _host: host, _quotas: quotas }
    }

    pub(crate) async fn close_all(&self) {}
}
