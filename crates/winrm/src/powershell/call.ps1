# The script alone.
& $WinRM.Block ARGUMENTS
