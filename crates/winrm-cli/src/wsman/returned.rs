//! What methods mean by the number that they return, where it isn't 0.

use winrm::{Resource, fault};

use crate::failure::{Failure, Status};

type Meanings = &'static [(u32, &'static str)];

/// `Win32_Process`: Create, Terminate, SetPriority, AttachDebugger, GetOwner.
const PROCESS: Meanings = &[
    (2, "access was denied"),
    (3, "a privilege is missing"),
    (8, "it failed without saying why"),
    (9, "the path was not found"),
    (21, "a parameter is wrong"),
];

/// `Win32_Service` and `Win32_SystemDriver`, all their methods.
const SERVICE: Meanings = &[
    (1, "the request is not supported"),
    (2, "access was denied"),
    (3, "other services that run depend on this one"),
    (4, "the service does not take this request"),
    (5, "the service can't take this request in its state"),
    (6, "the service has not been started"),
    (7, "the service did not answer in time"),
    (8, "the service failed without saying why"),
    (9, "the path of the service's program was not found"),
    (10, "the service runs already"),
    (11, "the database of services is locked"),
    (12, "a service that this one needs was removed"),
    (13, "a service that this one needs was not found"),
    (14, "the service is disabled"),
    (15, "the service's account may not log on"),
    (16, "the service is being removed"),
    (17, "the service has no thread"),
    (18, "services would need one another"),
    (19, "there is a service of this name already"),
    (20, "the service's name holds characters that it can't"),
    (21, "a parameter is wrong"),
    (22, "the account is not usable, or may not run the service"),
    (23, "the service is in the database already"),
    (24, "the service is paused"),
];

/// `Win32_Share`.
const SHARE: Meanings = &[
    (2, "access was denied"),
    (8, "it failed without saying why"),
    (9, "the name is not usable"),
    (10, "the level is not usable"),
    (21, "a parameter is wrong"),
    (22, "there is a share of this name already"),
    (23, "the path is redirected"),
    (24, "the folder does not exist"),
    (25, "the server was not found"),
];

/// `CIM_DataFile`, `Win32_Directory`: Copy, Delete, Rename and the like.
const FILE: Meanings = &[
    (2, "access was denied"),
    (8, "it failed without saying why"),
    (9, "the name is not usable"),
    (10, "it is there already"),
    (11, "the file system is not NTFS"),
    (12, "the host is no Windows of the NT kind"),
    (13, "the drives differ"),
    (14, "the folder is not empty"),
    (15, "another process uses it"),
    (16, "the start is not usable"),
    (17, "a privilege is missing"),
    (21, "a parameter is wrong"),
];

/// `Win32_NetworkAdapterConfiguration`.
const NETWORK: Meanings = &[
    (1, "it went well, and needs a restart to be complete"),
    (64, "the method is not supported on this host"),
    (65, "it failed without saying why"),
    (66, "the subnet mask is not usable"),
    (67, "an instance was not found"),
    (68, "a parameter is wrong"),
    (69, "there are more than five gateways"),
    (70, "the address is not usable"),
    (71, "the gateway's address is not usable"),
    (72, "the registry could not be read or written"),
    (73, "the domain's name is not usable"),
    (74, "the host's name is not usable"),
    (84, "IP is not enabled on the adapter"),
    (91, "access was denied"),
    (92, "there is not enough memory"),
    (93, "it exists already"),
    (94, "the path, file or object was not found"),
    (97, "the interface can't be configured"),
    (100, "DHCP is not enabled on the adapter"),
];

/// Msvm classes and other CIM classes, \[DSP1033\] and Microsoft's documentation of Hyper-V.
const CIM: Meanings = &[
    (1, "it is not supported"),
    (2, "it failed without saying why"),
    (3, "it could not be done in the time"),
    (4, "it failed"),
    (5, "a parameter is wrong"),
    (6, "it is in use"),
    (32_768, "it failed"),
    (32_769, "access was denied"),
    (32_770, "it is not supported"),
    (32_771, "the state is not known"),
    (32_772, "the time was not enough"),
    (32_773, "a parameter is wrong"),
    (32_774, "the system is in use"),
    (32_775, "the state does not allow it"),
    (32_776, "a value is of the wrong type"),
    (32_777, "the system is not available"),
    (32_778, "there is not enough memory"),
];

/// Classes by the beginning of their name, and what they return.
const CLASSES: &[(&str, Meanings)] = &[
    ("Win32_Process", PROCESS),
    ("Win32_Service", SERVICE),
    ("Win32_BaseService", SERVICE),
    ("Win32_SystemDriver", SERVICE),
    ("Win32_TerminalService", SERVICE),
    ("Win32_Share", SHARE),
    ("Win32_Directory", FILE),
    ("CIM_DataFile", FILE),
    ("CIM_Directory", FILE),
    ("CIM_LogicalFile", FILE),
    ("Win32_NetworkAdapterConfiguration", NETWORK),
    ("Msvm_", CIM),
    ("CIM_", CIM),
];

/// The failure that this return value means.
pub(super) fn failure(method: &str, resource: &Resource, code: u32) -> Failure {
    let failure = |meaning: &str| Failure::new(Status::Failed, format!("{method} of {resource} returned {code}: {meaning}"));
    if let Some(meaning) = meaning_of(resource.class(), code) {
        return failure(meaning);
    }
    // All other classes return errors of Win32 or of WMI.
    match fault::meaning(code) {
        Some(known) => {
            let failure = failure(known.meaning);
            match known.advice {
                Some(advice) => failure.hint(advice),
                None => failure,
            }
        }
        None => failure("the method failed")
            .hint("the documentation of the class says what its return values mean; --ok-codes takes those that are no failure"),
    }
}

fn meaning_of(class: &str, code: u32) -> Option<&'static str> {
    let beginning = |name: &str| class.get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name));
    let (_, meanings) = CLASSES.iter().find(|(name, _)| {
        if name.ends_with('_') {
            beginning(name)
        } else {
            name.eq_ignore_ascii_case(class)
        }
    })?;
    meanings.iter().find(|(number, _)| *number == code).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(resource: &str, code: u32) -> String {
        failure("M", &Resource::parse(resource).unwrap(), code).into_parts().0
    }

    #[test]
    fn a_class_says_what_its_numbers_mean() {
        assert_eq!(
            said("wmicimv2/win32_process", 9),
            "M of wmicimv2/win32_process returned 9: the path was not found"
        );
        assert!(said("wmicimv2/Win32_Service?Name=x", 10).ends_with("the service runs already"));
        assert!(said("wmi/root/virtualization/v2/Msvm_ComputerSystem", 32_775).ends_with("the state does not allow it"));
        assert!(said("wmicimv2/Win32_OperatingSystem", 1314).ends_with("a privilege is missing"));
        assert!(said("wmicimv2/Win32_Other", 77_777).ends_with("returned 77777: the method failed"));
    }
}
