# Add-Type as Windows PowerShell 5.1 has it: its compiler knows C# 5 and nothing newer. Roslyn, which comes with PowerShell 7, refuses here what
# that compiler would refuse.
function Add-Type {
    param([string] $TypeDefinition)
    $ErrorActionPreference = 'Stop'
    foreach ($name in 'Microsoft.CodeAnalysis', 'Microsoft.CodeAnalysis.CSharp') { $null = [Reflection.Assembly]::LoadFrom("$PSHOME/$name.dll") }
    $parse = [Microsoft.CodeAnalysis.CSharp.CSharpParseOptions]::Default.WithLanguageVersion([Microsoft.CodeAnalysis.CSharp.LanguageVersion]::CSharp5)
    $tree = [Microsoft.CodeAnalysis.CSharp.CSharpSyntaxTree]::ParseText($TypeDefinition, $parse)
    $references = foreach ($file in [IO.Directory]::GetFiles("$PSHOME/ref", '*.dll')) { [Microsoft.CodeAnalysis.MetadataReference]::CreateFromFile($file) }
    $options = [Microsoft.CodeAnalysis.CSharp.CSharpCompilationOptions]::new([Microsoft.CodeAnalysis.OutputKind]::DynamicallyLinkedLibrary)
    $compilation = [Microsoft.CodeAnalysis.CSharp.CSharpCompilation]::Create("standin-$([Guid]::NewGuid())", [Microsoft.CodeAnalysis.SyntaxTree[]] @($tree), [Microsoft.CodeAnalysis.MetadataReference[]] $references, $options)
    $memory = [IO.MemoryStream]::new()
    $result = $compilation.Emit($memory)
    if (-not $result.Success) { throw "Add-Type: $(($result.Diagnostics | ForEach-Object { "$_" }) -join '; ')" }
    $null = [Reflection.Assembly]::Load($memory.ToArray())
}
