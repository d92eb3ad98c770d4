//! `--explain`: how a host is reached and as whom, and who says so.

use std::process::ExitCode;

use winrm_fleet::settings::Explained;
use winrm_fleet::{Origin, Settings};

use super::Opened;
use crate::args::{Format, ShowArguments};
use crate::failure::Failure;
use crate::printer;

pub(super) fn explain(opened: Opened, arguments: &ShowArguments, host: &str, verbose: bool) -> Result<ExitCode, Failure> {
    let flags = super::flags(&arguments.connection, &opened.config)?;
    let templates = super::templates(&arguments.sources, opened.inventory, opened.vault)?;
    let templar = templates
        .of(host)?
        .ok_or_else(|| Failure::configuration(format!("the inventory has no host {host:?}")).hint("--graph shows those that there are"))?;
    let mut settings = Settings::resolve(host, &templar, &flags, templates.extra())?;
    if let Some(host) = templates.inventory().host(host) {
        settings.explain_overridden(&templates.inventory().overridden(host)?);
    }
    match arguments.format {
        Format::Text => text(host, &settings, verbose),
        Format::Json => printer::line(&json(host, &settings).to_string()),
    }
    for warning in settings.warnings() {
        printer::warning(&warning.to_string());
    }
    Ok(ExitCode::SUCCESS)
}

fn text(host: &str, settings: &Settings, verbose: bool) {
    printer::line(&format!("{host}: {}", settings.endpoint()));
    let rows = settings.explain();
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).min(40);
    let names = widest(&mut rows.iter().map(|row| row.setting.len()));
    let values = widest(&mut rows.iter().map(|row| row.value.chars().count()));
    for row in rows {
        printer::line(&format!(
            "  {:names$}  {:values$}  {}",
            row.setting,
            row.value,
            said(row.name, &row.origin)
        ));
        for lost in row.overridden.iter().filter(|_| verbose) {
            printer::line(&format!(
                "  {:names$}  over {}  {}",
                "",
                lost.value,
                said(Some(lost.name), &lost.origin)
            ));
        }
    }
}

/// Who says it: `ansible_port, hosts.ini:3`, `--port`, `default`.
fn said(name: Option<&str>, origin: &Origin) -> String {
    let place = origin.to_string();
    match name {
        Some(name) if name != place => format!("{name}, {place}"),
        _ => place,
    }
}

fn json(host: &str, settings: &Settings) -> serde_json::Value {
    let row = |row: &Explained| {
        serde_json::json!({
            "setting": row.setting,
            "value": row.value,
            "name": row.name,
            "origin": row.origin.to_string(),
            "overridden": row.overridden.iter().map(|lost| serde_json::json!({
                "name": lost.name,
                "value": lost.value,
                "origin": lost.origin.to_string(),
            })).collect::<Vec<_>>(),
        })
    };
    serde_json::json!({
        "host": host,
        "endpoint": settings.endpoint().to_string(),
        "user": settings.user().map(|user| &user.value),
        "transport": settings.methods().value.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "settings": settings.explain().iter().map(row).collect::<Vec<_>>(),
        "warnings": settings.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
