//! Namespaces, actions and resource URIs.

/// SOAP 1.2.
pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing (the submission of August 2004, which WS-Management uses).
pub const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Transfer.
pub const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
/// WS-Enumeration.
pub const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
/// WS-Management, \[DSP0226\].
pub const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Microsoft's additions to WS-Management, \[MS-WSMV\].
pub const WSMV: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// The identify operation, \[DSP0226\] 11.
pub const IDENTIFY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";
/// The remote shell, \[MS-WSMV\] 2.2.4.
pub const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
/// Details of faults, \[MS-WSMV\] 2.2.4.44.
pub const WSMAN_FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
/// Details of faults that a WMI provider made.
pub const WMI_ERROR: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/MSFT_WmiError";
/// XML Schema instances, for `xsi:nil`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The namespace of `xml:lang`.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The binding of CIM to WS-Management, \[DSP0227\].
pub const CIM_BINDING: &str = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd";
/// The types that all CIM classes share, \[DSP0230\]: dates.
pub const CIM_COMMON: &str = "http://schemas.dmtf.org/wbem/wscim/1/common";

/// The anonymous address: the answer goes back over the same connection.
pub const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// The command shell's resource.
pub const SHELL_CMD: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";
/// The resource of the service's configuration, `winrm/config`.
pub const CONFIG: &str = "http://schemas.microsoft.com/wbem/wsman/1/config";

/// WMI's classes, behind it a namespace and a class: `root/cimv2/Win32_Service`.
pub const WMI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi";
/// The classes of the CIM schema that no WMI namespace is named for.
pub const CIM_SCHEMA: &str = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2";
/// The shells of PowerShell remoting begin with this.
pub const POWERSHELL: &str = "http://schemas.microsoft.com/powershell/";

/// The dialect of filters in WMI's query language.
pub const DIALECT_WQL: &str = "http://schemas.microsoft.com/wbem/wsman/1/WQL";
/// The dialect of filters by selectors, \[DSP0226\] Annex E.
pub const DIALECT_SELECTOR: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter";
/// The dialect of filters by association, \[DSP0227\] 9.2.
pub const DIALECT_ASSOCIATION: &str = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding/associationFilter";

/// The action of a fault, \[DSP0226\] 14.2.
pub const ACTION_FAULT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";
/// The action of a fault of WS-Addressing.
pub const ACTION_ADDRESSING_FAULT: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault";
