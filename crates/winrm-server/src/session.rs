//! Where protocol and authentication meet: a request's way from HTTP to an envelope and back.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};
use winrm_auth::{Authorization, Scheme, basic};

use crate::authentication::AuthMethod;
use crate::connection::Link;
use crate::dispatch::{self, Answer, Caller};
use crate::server::Service;

/// The type of an envelope, as Windows writes it.
const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// A connection from the first request to the last.
pub(crate) struct Session {
    service: Arc<Service>,
    link: Link,
}

/// Why a request's body isn't there.
enum NoBody {
    TooLarge,
    TooSlow,
    Broken,
}

impl Session {
    pub(crate) fn new(service: Arc<Service>, link: Link) -> Self {
        Self { service, link }
    }

    /// Answers one request, whatever it is.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if !head
            .uri
            .path()
            .trim_end_matches('/')
            .eq_ignore_ascii_case(&self.service.settings.path)
        {
            return empty(StatusCode::NOT_FOUND);
        }
        if head.method != Method::POST {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        // It is read before anything is answered: the connection can't be kept with half a request in it.
        let body = match self.read_body(body).await {
            Ok(body) => body,
            Err(NoBody::TooLarge) => {
                let who = self.basic_user(&head.headers);
                // Windows tells strangers nothing, not even this.
                let response = if who.is_ok() {
                    soap(dispatch::too_large(&self.service))
                } else {
                    self.unauthorized()
                };
                return closing(response);
            }
            Err(NoBody::TooSlow) => return closing(empty(StatusCode::REQUEST_TIMEOUT)),
            Err(NoBody::Broken) => return closing(empty(StatusCode::BAD_REQUEST)),
        };
        if asks_as_stranger(&head.headers)
            && let Some(answer) = dispatch::identify_stranger(&self.service, &body)
        {
            return soap(answer);
        }
        match self.basic_user(&head.headers) {
            Ok(user) => soap(self.dispatch(user, &body).await),
            Err(response) => *response,
        }
    }

    async fn dispatch(&self, user: String, body: &[u8]) -> Answer {
        let caller = Caller {
            user,
            address: self.link.peer.ip().to_canonical().to_string(),
        };
        dispatch::answer(&self.service, &caller, body).await
    }

    async fn read_body(&self, mut body: Incoming) -> Result<Vec<u8>, NoBody> {
        let quotas = &self.service.settings.quotas;
        let limit = quotas.max_envelope_bytes();
        let hint = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if hint > limit {
            return Err(NoBody::TooLarge);
        }
        let deadline = Instant::now() + quotas.body_timeout;
        let mut bytes = Vec::with_capacity(hint);
        loop {
            let frame = timeout_at(deadline, body.frame()).await.map_err(|_| NoBody::TooSlow)?;
            let Some(frame) = frame else { return Ok(bytes) };
            // Trailers mean nothing here.
            if let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() {
                if bytes.len() + data.len() > limit {
                    return Err(NoBody::TooLarge);
                }
                bytes.extend_from_slice(&data);
            }
        }
    }

    /// Whether messages may be in clear text on this connection.
    fn clear_text_allowed(&self) -> bool {
        self.link.binding.is_some() || self.service.settings.allow_unencrypted
    }

    fn offered(&self) -> impl Iterator<Item = AuthMethod> {
        let basic = self.clear_text_allowed();
        let methods = self.service.settings.methods.iter().copied();
        methods.filter(move |method| *method != AuthMethod::Basic || basic)
    }

    fn basic_user(&self, headers: &HeaderMap) -> Result<String, Box<Response<Full<Bytes>>>> {
        let refused = || Box::new(self.unauthorized());
        let value = headers.get(AUTHORIZATION).ok_or_else(refused)?;
        let value = value.to_str().map_err(|_| refused())?;
        if Authorization::scheme_of(value) != Scheme::Basic {
            return Err(refused());
        }
        if !self.offered().any(|method| method.scheme() == Scheme::Basic) {
            tracing::info!(peer = %self.link.peer, "Basic refused: not offered, or clear text not allowed");
            return Err(refused());
        }
        let given = basic::parse_authorization(value).map_err(|error| {
            tracing::info!(peer = %self.link.peer, %error, "Basic refused");
            refused()
        })?;
        self.service.settings.users.verify(&given).ok_or_else(|| {
            tracing::info!(peer = %self.link.peer, user = given.account(), "Basic refused: wrong user or password");
            refused()
        })
    }

    fn unauthorized(&self) -> Response<Full<Bytes>> {
        let mut response = empty(StatusCode::UNAUTHORIZED);
        for method in self.offered() {
            if let Ok(value) = HeaderValue::from_str(&method.challenge().to_string()) {
                response.headers_mut().append(WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

/// Whether the client says that it asks without credentials ([DSP0226] 11).
fn asks_as_stranger(headers: &HeaderMap) -> bool {
    let value = headers.get("WSMANIDENTIFY").and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("unauthenticated"))
}

fn soap(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.envelope)));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(SOAP));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response
        .headers_mut()
        .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    response
}
