//! `winrm wsman helpmsg`: what an error number means.

use std::process::ExitCode;

use winrm::fault;

use crate::args::{Format, HelpmsgArguments};
use crate::failure::{Failure, Status};
use crate::printer;

pub(super) fn run(arguments: &HelpmsgArguments) -> Result<ExitCode, Failure> {
    let numbers = arguments.numbers.iter().map(|text| {
        number(text).ok_or_else(|| {
            Failure::configuration(format!("{text:?} is no error number"))
                .hint("write it as Windows does: 2150859174, 0x803381A6 or -2144108122")
        })
    });
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>()?;
    let mut all_known = true;
    for number in numbers {
        let known = fault::meaning(number);
        all_known &= known.is_some();
        match arguments.format {
            Format::Json => {
                let record = serde_json::json!({
                    "number": number,
                    "hexadecimal": format!("0x{number:08X}"),
                    "name": known.map(|known| known.name),
                    "meaning": known.map(|known| known.meaning),
                    "advice": known.and_then(|known| known.advice),
                });
                printer::line(&record.to_string());
            }
            Format::Text => text(number, known),
        }
    }
    Ok(if all_known { ExitCode::SUCCESS } else { Status::Failed.into() })
}

fn text(number: u32, known: Option<fault::Meaning>) {
    let name = known.map_or("not known here", |known| known.name);
    printer::line(&format!("0x{number:08X} ({number}, {})  {name}", number.cast_signed()));
    match known {
        Some(known) => {
            printer::line(&format!("  {}", known.meaning));
            if let Some(advice) = known.advice {
                printer::line(&format!("  hint: {advice}"));
            }
        }
        None => printer::line(&format!("  {}", origin(number))),
    }
}

/// Which part of Windows makes errors like this one.
fn origin(number: u32) -> &'static str {
    match number >> 16 {
        0 => "an error of Win32, or an exit code",
        0x8033 => "an error of WS-Management",
        0x8007 => "an error of Win32, as HRESULT",
        0x8004 => "an error of WMI or of another COM interface",
        0x8009 => "an error of authentication, cryptography or certificates",
        0x800B => "an error about a certificate",
        0x8013 => "an error of .NET",
        0xC000 => "an NTSTATUS: a program ended so has crashed, or was ended by the system",
        high if high & 0x8000 != 0 => "an HRESULT",
        _ => "no number that WinRM answers with",
    }
}

/// Decimal, hexadecimal with `0x`, or negative as languages with signed numbers print it.
fn number(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        if digits.starts_with('+') {
            return None;
        }
        // Programs of 64 bits print negative numbers with sixteen digits.
        let number = u64::from_str_radix(digits, 16).ok()?;
        let negative = number >> 32 == u64::from(u32::MAX);
        return u32::try_from(if negative { number & u64::from(u32::MAX) } else { number }).ok();
    }
    text.parse::<u32>()
        .ok()
        .or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_each_of_their_forms() {
        for text in [
            "2150859174",
            "0x803381A6",
            "0X803381a6",
            "-2144108122",
            " 0x803381A6 ",
            "0xFFFFFFFF803381A6",
        ] {
            assert_eq!(number(text), Some(0x8033_81A6), "{text}");
        }
        assert_eq!(number("5"), Some(5));
        assert_eq!(number("0xFFFFFFFF"), Some(u32::MAX));
        for text in ["", "x", "0x", "0x+5", "4294967296", "5.0", "0x1FFFFFFFF0"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
