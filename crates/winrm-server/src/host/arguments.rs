//! Taking a command line apart as Microsoft's C runtime does.

/// Splits the arguments of a command line: blanks separate, quotation marks hold together, backslashes only matter in front of a
/// quotation mark (2n of them are n, 2n+1 are n and the mark itself), and two marks inside of quotes are one.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current = String::new();
    let mut begun = false;
    let mut quoted = false;
    let mut backslashes = 0;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\\' {
            backslashes += 1;
            begun = true;
            continue;
        }
        if character == '"' {
            current.extend(std::iter::repeat_n('\\', backslashes / 2));
            let literal = backslashes % 2 == 1;
            backslashes = 0;
            begun = true;
            if literal {
                current.push('"');
            } else if quoted && characters.peek() == Some(&'"') {
                characters.next();
                current.push('"');
            } else {
                quoted = !quoted;
            }
            continue;
        }
        current.extend(std::iter::repeat_n('\\', backslashes));
        backslashes = 0;
        if matches!(character, ' ' | '\t') && !quoted {
            if begun {
                arguments.push(std::mem::take(&mut current));
            }
            begun = false;
        } else {
            current.push(character);
            begun = true;
        }
    }
    current.extend(std::iter::repeat_n('\\', backslashes));
    if begun {
        arguments.push(current);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn splits_as_the_c_runtime() {
        // The first five are the examples of Microsoft's page on parsing C command-line arguments.
        for (line, arguments) in [
            (r#""a b c" d e"#, &["a b c", "d", "e"][..]),
            (r#""ab\"c" "\\" d"#, &["ab\"c", "\\", "d"]),
            (r#"a\\\b d"e f"g h"#, &["a\\\\\\b", "de fg", "h"]),
            (r#"a\\\"b c d"#, &["a\\\"b", "c", "d"]),
            (r#"a\\\\"b c" d e"#, &["a\\\\b c", "d", "e"]),
            (r#"a"b"" c d"#, &["ab\" c d"]),
            ("  \t ", &[]),
            (r#""""#, &[""]),
            (r#"x "" y"#, &["x", "", "y"]),
            (r"C:\dir\ z\", &["C:\\dir\\", "z\\"]),
        ] {
            assert_eq!(split(line), arguments, "{line}");
        }
    }
}
