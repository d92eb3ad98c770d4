//! The proxy that the environment names, as curl reads it.

use super::{NoProxy, Proxy, ProxyError};
use crate::endpoint::{Endpoint, Scheme};

impl Proxy {
    /// The proxy that the environment names for this endpoint: `https_proxy` or `http_proxy` after its scheme, else
    /// `all_proxy`; none for what `no_proxy` holds. Each may be written in upper case, and counts in lower case first.
    ///
    /// `HTTP_PROXY` in upper case is left out where `REQUEST_METHOD` is set: in a CGI program that is a header of whoever
    /// sends the request.
    ///
    /// # Errors
    /// [`ProxyError::Variable`] when the variable that counts holds no proxy.
    pub fn from_environment(endpoint: &Endpoint) -> Result<Option<Self>, ProxyError> {
        Self::from_variables(endpoint, None, |name| std::env::var(name).ok())
    }

    /// The same with a list of exceptions instead of that of `no_proxy`.
    ///
    /// # Errors
    /// As of [`Proxy::from_environment`].
    pub fn from_environment_except(endpoint: &Endpoint, exceptions: &NoProxy) -> Result<Option<Self>, ProxyError> {
        Self::from_variables(endpoint, Some(exceptions), |name| std::env::var(name).ok())
    }

    fn from_variables(
        endpoint: &Endpoint,
        exceptions: Option<&NoProxy>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, ProxyError> {
        let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        let is_excepted = match exceptions {
            Some(exceptions) => exceptions.covers(endpoint),
            None => read("no_proxy")
                .or_else(|| read("NO_PROXY"))
                .is_some_and(|list| NoProxy::parse(&list).covers(endpoint)),
        };
        if is_excepted {
            return Ok(None);
        }
        let of_scheme = match endpoint.scheme() {
            Scheme::Https => ["https_proxy", "HTTPS_PROXY"],
            Scheme::Http => ["http_proxy", "HTTP_PROXY"],
        };
        let found = of_scheme.into_iter().chain(["all_proxy", "ALL_PROXY"]).find_map(|name| {
            let is_header = name == "HTTP_PROXY" && read("REQUEST_METHOD").is_some();
            let value = read(name).filter(|_| !is_header)?;
            Some((name, value))
        });
        match found {
            None => Ok(None),
            Some((variable, value)) => Self::parse(&value).map(Some).map_err(|error| ProxyError::Variable {
                variable,
                source: Box::new(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn chosen(target: &str, variables: &[(&str, &str)]) -> Option<String> {
        let endpoint = Endpoint::parse(target).unwrap().0;
        let read = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Proxy::from_variables(&endpoint, None, read)
            .unwrap()
            .map(|proxy| proxy.host().to_owned())
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let all = [("HTTPS_PROXY", "s"), ("HTTP_PROXY", "h"), ("ALL_PROXY", "a")];
        assert_eq!(chosen("https://x", &all).as_deref(), Some("s"));
        assert_eq!(chosen("http://x", &all).as_deref(), Some("h"));
        assert_eq!(chosen("https://x", &all[1..]).as_deref(), Some("a"));
        assert_eq!(chosen("https://x", &all[1..2]), None);
        assert_eq!(
            chosen("https://x", &[("HTTPS_PROXY", " "), ("all_proxy", "a")]).as_deref(),
            Some("a")
        );
    }

    #[test]
    fn lower_case_counts_first() {
        let both = [("HTTPS_PROXY", "up"), ("https_proxy", "low")];
        assert_eq!(chosen("https://x", &both).as_deref(), Some("low"));
        let exceptions = [("https_proxy", "p"), ("no_proxy", "y"), ("NO_PROXY", "x")];
        assert_eq!(chosen("https://x", &exceptions).as_deref(), Some("p"));
        assert_eq!(chosen("https://x", &exceptions[..1]).as_deref(), Some("p"));
        assert_eq!(chosen("https://y", &exceptions), None);
    }

    #[test]
    fn a_header_of_a_cgi_request_is_no_proxy() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil")];
        assert_eq!(chosen("http://x", &cgi), None);
        assert_eq!(chosen("http://x", &cgi[1..]).as_deref(), Some("evil"));
        assert_eq!(
            chosen("http://x", &[("REQUEST_METHOD", "GET"), ("http_proxy", "good")]).as_deref(),
            Some("good")
        );
    }

    #[test]
    fn a_variable_that_holds_no_proxy_is_named() {
        let endpoint = Endpoint::parse("https://x").unwrap().0;
        let error = Proxy::from_variables(&endpoint, None, |name| {
            (name == "ALL_PROXY").then(|| "socks5://al:hunter2@p".to_owned())
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "the environment variable ALL_PROXY holds no proxy");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
