//! Where protocol and authentication meet: a request's way from HTTP to an envelope and back.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::connection::Link;
use crate::server::Service;

pub(crate) struct Session {
    service: Arc<Service>,
    link: Link,
}

impl Session {
    pub(crate) fn new(service: Arc<Service>, link: Link) -> Self {
        Self { service, link }
    }

    pub(crate) async fn answer(&self, _request: Request<Incoming>) -> Response<Full<Bytes>> {
        let _ = (&self.service, &self.link);
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }
}
