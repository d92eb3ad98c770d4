//! The script inside of what starts it on a new machine.

use winrm::Transport;

use super::script::Script;
use crate::failure::Failure;

/// User data of cloudbase-init: it runs what begins with this line in the PowerShell of the system's own width.
pub(super) fn cloudbase(script: &Script) -> String {
    format!("#ps1_sysnative\n{}", script.printed())
}

/// A part of an answer file. The script doesn't fit into a command there (1,024 characters), so that the command takes it out of the
/// answer file itself, which Windows Setup leaves in its Panther folder. When the first account logs on, the host has its name.
pub(super) fn unattend(script: &Script) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<!-- To be merged into your own answer file: the command, and the script at the end. The command runs when the first account logs on. -->
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-Shell-Setup" processorArchitecture="amd64" publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">
      <FirstLogonCommands>
        <SynchronousCommand xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State" wcm:action="add">
          <Order>1</Order>
          <Description>Prepare the host for WinRM</Description>
          <CommandLine>{COMMAND}</CommandLine>
        </SynchronousCommand>
      </FirstLogonCommands>
    </component>
  </settings>
  <winrm:Setup xmlns:winrm="urn:winrm:setup">{}</winrm:Setup>
</unattend>
"#,
        escaped(&script.printed())
    )
}

/// Without a character that XML escapes.
const COMMAND: &str = "powershell.exe -NoProfile -ExecutionPolicy Bypass -Command \"$x = New-Object System.Xml.XmlDocument; \
                       $x.Load($env:windir + '\\Panther\\unattend.xml'); \
                       . ([ScriptBlock]::Create($x.GetElementsByTagName('Setup', 'urn:winrm:setup').Item(0).InnerText))\"";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A part of a template in HCL2: what a communicator needs to know, and the script as user data.
pub(super) fn packer(script: &Script) -> Result<String, Failure> {
    let Some(wanted) = &script.wanted else {
        return Err(
            Failure::configuration("a template of Packer prepares a host; there is nothing to undo in it").hint("give --format ps1"),
        );
    };
    let ntlm = wanted
        .auth
        .iter()
        .any(|transport| matches!(transport, Transport::Ntlm | Transport::Negotiate));
    if !ntlm && !wanted.auth.contains(&Transport::Basic) {
        return Err(Failure::configuration("Packer authenticates by Basic or NTLM, and neither is asked for").hint("add --auth ntlm"));
    }
    let (port, https) = if wanted.https {
        (wanted.https_port, true)
    } else {
        (wanted.http_port, false)
    };
    let insecure = if https && wanted.listener_cert.is_none() && wanted.listener_cert_subject.is_none() {
        "  winrm_insecure = true # the certificate is self-signed, and nobody knows it yet\n"
    } else {
        ""
    };
    Ok(format!(
        "# To be merged into a source of your template. Other clouds than AWS take the script without its first and last line.\n\
         source \"amazon-ebs\" \"windows\" {{\n  communicator   = \"winrm\"\n  winrm_port     = {port}\n  winrm_use_ssl  = {https}\n{insecure}  winrm_use_ntlm = {ntlm}\n  \
         user_data = <<POWERSHELL\n<powershell>\n{}</powershell>\nPOWERSHELL\n}}\n",
        script.printed().replace("${", "$${").replace("%{", "%%{")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_fits_into_an_answer_file_as_it_is() {
        assert!(COMMAND.len() < 1_024 && !COMMAND.contains(['<', '>', '&']), "{}", COMMAND.len());
    }
}
