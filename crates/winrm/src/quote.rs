//! Quoting of arguments, by the rules that programs on Windows take their command line apart with.

/// Quotes one argument so that a program whose command line is parsed by Microsoft's C runtime (and by everything that
/// follows its rules) gets it whole.
///
/// Characters that `cmd` itself gives a meaning to (`& | < > ^ ( )`) have none inside quotes. A percent sign has, and can't
/// be escaped on a command line: `%NAME%` is replaced where such a variable exists. Nor can `!` where delayed expansion was
/// switched on.
pub(crate) fn quoted(argument: &str) -> String {
    const SPECIAL: &[char] = &[' ', '\t', '\n', '\r', '\u{b}', '"', '&', '|', '<', '>', '^', '(', ')'];
    if !argument.is_empty() && !argument.contains(SPECIAL) {
        return argument.to_owned();
    }
    let mut text = String::with_capacity(argument.len() + 2);
    text.push('"');
    let mut backslashes = 0;
    for character in argument.chars() {
        match character {
            '\\' => backslashes += 1,
            '"' => {
                // Backslashes in front of a quote are halved by the parser, and the quote itself needs one.
                text.extend(std::iter::repeat_n('\\', backslashes * 2 + 1));
                backslashes = 0;
                text.push('"');
                continue;
            }
            _ => {
                text.extend(std::iter::repeat_n('\\', backslashes));
                backslashes = 0;
            }
        }
        if character != '\\' {
            text.push(character);
        }
    }
    text.extend(std::iter::repeat_n('\\', backslashes * 2));
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    /// The parser's rules, from Microsoft's "Parsing C command-line arguments".
    fn parsed(line: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut rest = line.chars().peekable();
        loop {
            while rest.next_if(|c| *c == ' ' || *c == '\t').is_some() {}
            if rest.peek().is_none() {
                return arguments;
            }
            let (mut argument, mut inside) = (String::new(), false);
            while let Some(&next) = rest.peek() {
                let mut backslashes = 0;
                while rest.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                if backslashes > 0 {
                    let quote = rest.peek() == Some(&'"');
                    argument.extend(std::iter::repeat_n('\\', if quote { backslashes / 2 } else { backslashes }));
                    if quote && backslashes % 2 == 1 {
                        rest.next();
                        argument.push('"');
                    }
                    continue;
                }
                rest.next();
                match next {
                    '"' => inside = !inside,
                    ' ' | '\t' if !inside => break,
                    other => argument.push(other),
                }
            }
            arguments.push(argument);
        }
    }

    #[test]
    fn plain_arguments_stay_as_they_are() {
        for plain in ["/all", r"C:\Windows\notepad.exe", "%TEMP%", "-x:1", "PROPERTY=1", "naïve"] {
            assert_eq!(quoted(plain), plain);
        }
    }

    #[test]
    fn others_are_quoted_and_come_back_whole() {
        for (argument, expected) in [
            ("", r#""""#),
            ("a b", r#""a b""#),
            (r"C:\Program Files\", r#""C:\Program Files\\""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r#"\\"x"#, r#""\\\\\"x""#),
            ("a&b", r#""a&b""#),
            ("a\tb", "\"a\tb\""),
        ] {
            assert_eq!(quoted(argument), expected);
            assert_eq!(parsed(&quoted(argument)), [argument]);
        }
    }

    #[test]
    fn a_line_of_many_comes_back() {
        let arguments = ["", "a", "b c", r"d\", r#""e"#, r"f\\ g\\", "(h)", "\\\\host\\share\\"];
        let line = arguments.map(quoted).join(" ");
        assert_eq!(parsed(&line), arguments);
    }
}
