# The script alone, in the global scope as that of a command line is: modules heed the preferences it sets there.
. $WinRM.Block ARGUMENTS
