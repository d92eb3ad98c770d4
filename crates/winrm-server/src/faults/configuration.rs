//! What is wrong with a change of the configuration.

use winrm_proto::fault::FaultCode::Sender;
use winrm_proto::sddl::SddlError;

use super::{Refusal, refusal, say, schema};

/// A setting that doesn't exist, or a value that it can't have.
pub(crate) fn setting(name: &str, why: &str) -> Refusal {
    let mut fault = schema();
    let name: String = name.chars().take(100).collect();
    let why: String = why.chars().take(300).collect();
    say(
        &mut fault,
        format!(
            "The SOAP XML in the message does not match the corresponding XML schema definition. Change the XML and retry. ({name}: {why}) "
        ),
    );
    fault
}

pub(crate) fn read_only_setting(name: &str) -> Refusal {
    let mut fault = refusal(
        Sender,
        "InvalidParameter",
        0x8033_813F,
        "The WinRM client cannot process the request because it is trying to update a read-only setting. Remove this setting from the command and try again. ",
    );
    say(
        &mut fault,
        format!(
            "The WinRM client cannot process the request because it is trying to update a read-only setting. Remove this setting from the command and try again. ({name}) "
        ),
    );
    fault
}

/// The name of the instance isn't that of the resource.
pub(crate) fn representation() -> Refusal {
    refusal(
        Sender,
        "InvalidRepresentation",
        0x8033_8015,
        "The WS-Management service cannot identify the format of the object passed to a Put or Create method. The input XML may not be appropriate for the resource or uses the wrong schema for the resource. Change the input XML in the request. ",
    )
}

pub(crate) fn xml_namespace() -> Refusal {
    refusal(
        Sender,
        "InvalidRepresentation",
        0x8033_8058,
        "The WS-Management service cannot identify the format of the object passed to a Put or Create method. The XML namespace for the input XML is invalid. Change the XML namespace for the input XML in the request. ",
    )
}

pub(crate) fn security_descriptor(error: &SddlError) -> Refusal {
    let mut fault = parameter(
        0x8033_815C,
        "The WinRM client cannot process the request because the provided security descriptor is invalid. ",
    );
    say(
        &mut fault,
        format!("The WinRM client cannot process the request because the provided security descriptor is invalid. ({error}) "),
    );
    fault
}

pub(crate) fn ip_filter() -> Refusal {
    parameter(
        0x8033_80EC,
        "The WinRM client cannot process the request. The IP Filter is invalid. Ranges are specified using the syntax IP1-IP2. Multiple ranges are separated using , as delimiter. * is used to indicate that the service should listen on all available IPs on the machine. ",
    )
}

pub(crate) fn cbt_hardening_level() -> Refusal {
    parameter(
        0x8033_81B8,
        "The WinRM service cannot process the request. The Channel Binding Token Hardening Level (CbtHardeningLevel) value is invalid. The valid values are \"None\", \"Relaxed\" and \"Strict\". Change the CbtHardeningLevel value and try again. ",
    )
}

pub(crate) fn port() -> Refusal {
    parameter(
        0x8033_80DC,
        "The WinRM client cannot process the request. The port specified in the configuration is invalid. Valid values are between 1 and 65535. Change the value for port and try the request again. ",
    )
}

pub(crate) fn listener_address() -> Refusal {
    parameter(
        0x8033_8089,
        "The listener address specified is invalid. The address can be specified in one of the following formats: *, IP:<ip_address>, MAC:<mac_address>. Change the listener address and try the request again. ",
    )
}

pub(crate) fn keys_changed() -> Refusal {
    parameter(
        0x8033_80ED,
        "The WinRM client cannot process the request. The input XML modifies selectors or keys for the instance. You cannot create a new instance or change the identity of an instance by changing the keys. Change the input XML and try the request again. ",
    )
}

pub(crate) fn thumbprint_without_tls() -> Refusal {
    parameter(
        0x8033_80EB,
        "The WinRM client cannot process the request. When HTTP is the transport, the Certificate thumbprint must be blank. HTTP does not use the Certificate thumbprint. ",
    )
}

pub(crate) fn certificate_not_found() -> Refusal {
    parameter(
        0x8033_8082,
        "The WS-Management service cannot find the certificate that was requested. ",
    )
}

pub(crate) fn certificate_of_another_host() -> Refusal {
    parameter(
        0x8033_80E9,
        "The WinRM client cannot process the request. The certificate CN and the hostname that were provided do not match. ",
    )
}

/// The listener that would be closed carries the request.
pub(crate) fn in_use() -> Refusal {
    let mut fault = refusal(
        Sender,
        "Concurrency",
        0x8033_8032,
        "The WS-Management service cannot complete the WS-Addressing Action URI in the request because the resource was already in use. ",
    );
    say(
        &mut fault,
        "The WS-Management service cannot complete the WS-Addressing Action URI in the request because the resource was already in use. (The request came through this listener, which would close the connection: ask through another one.) ".to_owned(),
    );
    fault
}

/// The operating system gives the listener no socket.
pub(crate) fn cannot_listen(error: &std::io::Error) -> Refusal {
    let (number, text) = match error.kind() {
        std::io::ErrorKind::AddrInUse => (
            32,
            "The process cannot access the file because it is being used by another process. ",
        ),
        std::io::ErrorKind::PermissionDenied => (5, "Access is denied. "),
        _ => (0x8007_001F, "A device attached to the system is not functioning. "),
    };
    let mut fault = refusal(Sender, "InternalError", number, text);
    say(&mut fault, format!("{text}({error}) "));
    fault
}

pub(crate) fn mapping_uri() -> Refusal {
    parameter(
        0x8033_8160,
        "WinRM cannot make the configuration change. The URI supplied for the certificate mapping operation is not valid. It must contain at least one character. It must not contain internal whitespace. It must not contain '?' character. A prefix may be specified by using \"*\" as the last character. The URI cannot be longer than 1023 characters. ",
    )
}

pub(crate) fn mapping_subject() -> Refusal {
    parameter(
        0x8033_8161,
        "WinRM cannot make the configuration change. The Subject used for the certificate mapping operation is not valid. It must contain at least one character. It must contain at most one \"*\" character which should be the first character. (This may be the only character in which case it matches all subjects). The Subject cannot be longer than 1023 characters. ",
    )
}

pub(crate) fn mapping_issuer() -> Refusal {
    parameter(
        0x8033_8162,
        "WinRM cannot make the configuration change because the Issuer used for the certificate mapping operation is not valid. The certificate identified by the issuer thumbprint must be present in the machine \"Trusted Root Certification Authorities\" or \"Intermediate Certification Authorities\" store. The certificate must have key usage that allows it to sign other certificates. ",
    )
}

pub(crate) fn mapping_credentials() -> Refusal {
    parameter(
        0x8033_8154,
        "The WINRM certificate mapping configuration operation cannot be completed because the user credentials could not be verified. Please check the username and password used for mapping this certificate and verify that it is a non-domain account and try again. ",
    )
}

pub(crate) fn mapping_credentials_incomplete() -> Refusal {
    parameter(
        0x8033_816C,
        "WinRM cannot make the configuration change. The credential used for updating or creating the certificate mapping configuration is not valid. The credential consists of both Password and UserName being supplied together in a pair. ",
    )
}

pub(crate) fn mapping_password_blank() -> Refusal {
    parameter(
        0x8033_816B,
        "WinRM cannot make the configuration change. The Password used for updating the certificate mapping configuration is not valid. A user account used for configuring a certificate mapping cannot have a blank password. ",
    )
}

pub(crate) fn mapping_password_too_long() -> Refusal {
    parameter(
        0x8033_816A,
        "WinRM cannot make the configuration change. The Password used for updating the certificate mapping configuration is not valid. It cannot be longer than 255 characters. ",
    )
}

pub(crate) fn mapping_keys_changed() -> Refusal {
    parameter(
        0x8033_8172,
        "The WinRM service cannot make the configuration change. The selector keys of Subject, URI or Issuer cannot be changed by overriding the selector key value in the body. ",
    )
}

pub(crate) fn too_many_mappings() -> Refusal {
    parameter(
        0x8033_8153,
        "The WINRM certificate mapping configuration store has reached an internal limit and cannot create any more entries. Remove some entries and try again. ",
    )
}

fn parameter(number: u32, text: &str) -> Refusal {
    refusal(Sender, "InvalidParameter", number, text)
}
