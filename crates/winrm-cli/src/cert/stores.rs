//! The certificate stores of a host's machine, by PowerShell: no protocol of WS-Management reaches them.

use openssl::base64::encode_block;
use openssl::x509::X509Ref;
use winrm::Client;
use winrm::clixml::Value;

use super::openssl;
use crate::failure::{Failure, Status};
use crate::printer;

const SCRIPT: &str = include_str!("stores.ps1");

/// A store of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Root,
    Intermediate,
    TrustedPeople,
}

impl Store {
    /// As .NET knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Root => "Root",
            Self::Intermediate => "CA",
            Self::TrustedPeople => "TrustedPeople",
        }
    }
}

/// What became of a certificate.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) store: String,
    pub(super) thumbprint: String,
    pub(super) changed: bool,
}

/// Puts certificates into stores, or takes them out.
pub(super) async fn change(client: &Client, certificates: &[(Store, &X509Ref)], remove: bool) -> Result<Vec<Stored>, Failure> {
    let mut lines = Vec::new();
    for (store, certificate) in certificates {
        let der = certificate.to_der().map_err(openssl)?;
        lines.push(format!("{} {}", store.name(), encode_block(&der)));
    }
    let mut powershell = client.powershell(SCRIPT);
    powershell.param("Certificates", lines.join("\n")).progress(false);
    if remove {
        powershell.switch("Remove");
    }
    let given = powershell.objects().await?;
    let text = |value: &Value, name| value.property(name).and_then(Value::as_str).map(printer::plain);
    let mut stored = Vec::new();
    for object in &given.objects {
        let (Some(store), Some(thumbprint), Some(outcome)) = (text(object, "Store"), text(object, "Thumbprint"), text(object, "Outcome"))
        else {
            continue;
        };
        if outcome == "failed" {
            let reason = text(object, "Reason").unwrap_or_default();
            return Err(Failure::new(
                Status::Failed,
                format!("the store {store} of the host does not take the certificate: {reason}"),
            )
            .hint("writing to LocalMachine's stores takes an administrator with a full token"));
        }
        stored.push(Stored {
            store,
            thumbprint,
            changed: outcome == "changed",
        });
    }
    if stored.len() == certificates.len() {
        return Ok(stored);
    }
    let said = given.errors();
    Err(Failure::new(
        Status::Failed,
        format!("the host's certificate stores can't be changed: {}", said.trim()),
    ))
}
