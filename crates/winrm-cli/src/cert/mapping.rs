//! `winrm cert list` and `winrm cert remove`: which accounts a host has for certificates.

use std::path::Path;
use std::process::ExitCode;

use winrm::certificate::{Inspection, read_certificates};
use winrm::{Instance, Resource, WsMan};

use super::stores::{self, Store};
use super::{files, openssl};
use crate::args::{CertListArguments, CertRemoveArguments, Format};
use crate::connection;
use crate::failure::{Failure, Status};
use crate::printer;

/// `winrm/config/service/certmapping`, [MS-WSMV] 2.2.4.3.
const RESOURCE: &str = "http://schemas.microsoft.com/wbem/wsman/1/config/service/certmapping";

/// Which account a certificate means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// The user principal name.
    pub(super) subject: String,
    /// The resources it is for.
    pub(super) uri: String,
    /// The issuer's thumbprint.
    pub(super) issuer: String,
    pub(super) account: String,
    pub(super) enabled: bool,
}

impl Mapping {
    fn read(instance: &Instance) -> Self {
        let text = |name| instance.text(name).unwrap_or_default().to_owned();
        Self {
            subject: text("Subject"),
            uri: text("URI"),
            issuer: text("Issuer"),
            account: text("UserName"),
            enabled: text("Enabled").eq_ignore_ascii_case("true"),
        }
    }

    /// The mapping's place.
    pub(super) fn resource(&self) -> Resource {
        Resource::new(RESOURCE)
            .selector("Issuer", self.issuer.as_str())
            .selector("Subject", self.subject.as_str())
            .selector("URI", self.uri.as_str())
    }

    /// Whether both have the same place.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        self.subject.eq_ignore_ascii_case(&other.subject)
            && self.uri.eq_ignore_ascii_case(&other.uri)
            && self.issuer.eq_ignore_ascii_case(&other.issuer)
    }
}

/// All mappings of a host.
pub(super) async fn mappings(wsman: &WsMan) -> Result<Vec<Mapping>, Failure> {
    let items = wsman.enumerate(&Resource::new(RESOURCE)).collect().await?;
    Ok(items.iter().filter_map(|item| item.instance.as_ref()).map(Mapping::read).collect())
}

pub(super) async fn list(arguments: &CertListArguments) -> Result<ExitCode, Failure> {
    let connected = connection::client(&arguments.target, &arguments.connection, true).await?;
    let found = mappings(&connected.client.wsman()).await;
    connected.client.close().await;
    let found = found?;
    match arguments.format {
        Format::Json => {
            let list = found.iter().map(|mapping| {
                serde_json::json!({
                    "subject": mapping.subject,
                    "account": mapping.account,
                    "issuer": mapping.issuer,
                    "uri": mapping.uri,
                    "enabled": mapping.enabled,
                })
            });
            printer::line(&serde_json::Value::Array(list.collect()).to_string());
        }
        Format::Text if found.is_empty() => printer::line("no certificate is mapped to an account"),
        Format::Text => {
            for mapping in &found {
                let off = if mapping.enabled { "" } else { ", switched off" };
                // The host's words steer no terminal.
                let (subject, account) = (printer::plain(&mapping.subject), printer::plain(&mapping.account));
                printer::line(&format!("{subject} -> {account}{off}"));
                printer::line(&format!(
                    "   issuer {}, for {}",
                    printer::plain(&mapping.issuer),
                    printer::plain(&mapping.uri)
                ));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn remove(arguments: &CertRemoveArguments) -> Result<ExitCode, Failure> {
    let file = Path::new(&arguments.which);
    let certificate = if file.is_file() {
        let certificates =
            read_certificates(&files::read(file)?).map_err(|error| Failure::configuration(file.display().to_string()).because(error))?;
        let leaf = certificates.into_iter().next();
        Some(leaf.ok_or_else(|| Failure::configuration(format!("{} holds no certificate", file.display())))?)
    } else {
        None
    };
    let inspection = certificate
        .as_ref()
        .map(|certificate| Inspection::of(certificate))
        .transpose()
        .map_err(openssl)?;
    let subject = match &inspection {
        Some(inspection) => {
            let upn = inspection.upns().next().map(|upn| upn.as_str().to_owned());
            upn.ok_or_else(|| Failure::configuration(format!("{} has no user principal name", file.display())))?
        }
        None if arguments.which.contains(['/', '.']) && !arguments.which.contains('@') => {
            return Err(Failure::configuration(format!("there is no file {}", arguments.which))
                .hint("give a certificate's file, or a user principal name as winrm cert list shows it"));
        }
        None => arguments.which.clone(),
    };
    let connected = connection::client(&arguments.target, &arguments.connection, true).await?;
    let wsman = connected.client.wsman();
    let outcome = async {
        let mut found = mappings(&wsman).await?;
        found.retain(|mapping| mapping.subject.eq_ignore_ascii_case(&subject));
        if let Some(issuer) = &arguments.issuer_thumbprint {
            found.retain(|mapping| mapping.issuer.eq_ignore_ascii_case(issuer));
        }
        if let Some(inspection) = inspection.as_ref().filter(|inspection| inspection.self_signed) {
            found.retain(|mapping| mapping.issuer.eq_ignore_ascii_case(&inspection.thumbprint));
        }
        if found.len() > 1 {
            let issuers: Vec<_> = found.iter().map(|mapping| mapping.issuer.as_str()).collect();
            return Err(Failure::configuration(format!("{subject} is mapped {} times", found.len()))
                .hint(format!("say which with --issuer-thumbprint: {}", issuers.join(", "))));
        }
        if let Some(mapping) = found.first() {
            wsman.delete(&mapping.resource()).await?;
            printer::marked(
                true,
                "removed",
                &format!(
                    "the mapping of {} to {}",
                    printer::plain(&mapping.subject),
                    printer::plain(&mapping.account)
                ),
            );
        }
        let mut gone = !found.is_empty();
        if let (Some(certificate), Some(inspection)) = (&certificate, &inspection) {
            let mut places = vec![(Store::TrustedPeople, &**certificate)];
            if inspection.self_signed {
                places.push((Store::Root, certificate));
            }
            for stored in stores::change(&connected.client, &places, true).await? {
                gone |= stored.changed;
                if stored.changed {
                    printer::marked(
                        true,
                        "removed",
                        &format!("the certificate {} from {}", stored.thumbprint, stored.store),
                    );
                }
            }
        }
        if gone {
            Ok(ExitCode::SUCCESS)
        } else {
            Err(Failure::new(Status::Failed, format!("no certificate of {subject} is mapped there"))
                .hint("winrm cert list shows which are"))
        }
    };
    let outcome = outcome.await;
    connected.client.close().await;
    outcome
}
