//! Proxies that are typed, and the passwords of their users.

use winrm::{Proxy, Secret};

use crate::args::ProxyArguments;
use crate::connection::{password_from_file, prompt};
use crate::failure::Failure;

/// The environment variable that may hold the proxy's password.
const PASSWORD_VARIABLE: &str = "WINRM_PROXY_PASSWORD";

/// Checks a proxy that was typed.
pub(crate) fn check_typed(text: &str) -> Result<(), Failure> {
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
    Ok(())
}

/// The password of the proxy's user.
pub(crate) fn password(proxy: &Proxy, arguments: &ProxyArguments) -> Result<Secret, Failure> {
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
