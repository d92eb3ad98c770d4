# Takes objects, and writes each as a document of its own.
& { process { [Console]::Out.Write("#< CLIXML`n" + [System.Management.Automation.PSSerializer]::Serialize($_, 'DEPTH')) } }
