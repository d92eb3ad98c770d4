//! From the flags and the environment to a proxy.

use winrm::{Endpoint, NoProxy, Proxy, Secret};

use crate::args::ProxyArguments;
use crate::connection::{password_from_file, prompt};
use crate::failure::Failure;

/// The environment variable that may hold the proxy's password.
const PASSWORD_VARIABLE: &str = "WINRM_PROXY_PASSWORD";

/// The proxy that this endpoint is reached through.
pub(crate) fn proxy(endpoint: &Endpoint, arguments: &ProxyArguments) -> Result<Option<Proxy>, Failure> {
    let exceptions = arguments.no_proxy.as_deref().map(NoProxy::parse);
    let proxy = match (&arguments.proxy, exceptions) {
        // Who names a proxy means it, whatever the environment excepts.
        (Some(_), Some(exceptions)) if exceptions.covers(endpoint) => None,
        (Some(text), _) => Some(named(text)?),
        (None, Some(exceptions)) => Proxy::from_environment_except(endpoint, &exceptions).map_err(unusable_variable)?,
        (None, None) => Proxy::from_environment(endpoint).map_err(unusable_variable)?,
    };
    match proxy {
        Some(proxy) if proxy.user().is_some() && !proxy.has_password() => {
            let password = password(&proxy, arguments)?;
            Ok(Some(proxy.with_password(password)))
        }
        proxy => Ok(proxy),
    }
}

fn named(text: &str) -> Result<Proxy, Failure> {
    let proxy = Proxy::parse(text).map_err(|error| {
        Failure::configuration("--proxy")
            .because(error)
            .hint("it is written http://[USER@]HOST[:PORT]")
    })?;
    if proxy.has_password() {
        return Err(Failure::configuration("a password does not belong into --proxy: everyone on this machine can read it there").hint(
            format!("write --proxy http://USER@HOST:PORT, and give --proxy-password-file FILE or {PASSWORD_VARIABLE}; HTTPS_PROXY may hold all of it"),
        ));
    }
    Ok(proxy)
}

fn unusable_variable(error: winrm::ProxyError) -> Failure {
    Failure::configuration("the proxy of the environment")
        .because(error)
        .hint("it is written http://[USER[:PASSWORD]@]HOST[:PORT]; --no-proxy leaves the environment's proxies out")
}

fn password(proxy: &Proxy, arguments: &ProxyArguments) -> Result<Secret, Failure> {
    if let Some(file) = &arguments.proxy_password_file {
        return password_from_file(file);
    }
    match std::env::var(PASSWORD_VARIABLE) {
        Ok(password) => return Ok(Secret::new(password)),
        Err(std::env::VarError::NotPresent) => {}
        Err(std::env::VarError::NotUnicode(_)) => return Err(Failure::configuration(format!("{PASSWORD_VARIABLE} is not valid UTF-8"))),
    }
    prompt(
        &format!("Password of {} at the proxy {proxy}: ", proxy.user().unwrap_or_default()),
        &format!("give --proxy-password-file FILE, or set {PASSWORD_VARIABLE}"),
    )
}
