# When the system was started, in WMI's own form of dates, which no culture changes.
(Get-WmiObject -Class Win32_OperatingSystem).LastBootUpTime
