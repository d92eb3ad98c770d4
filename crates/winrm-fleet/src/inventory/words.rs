//! Words of a line as Python's `shlex.split(line, comments=True)` cuts them.

/// The words; what follows `#` is a comment, even in the middle of a word.
///
/// # Errors
/// A quote that isn't closed, a backslash with nothing behind it.
pub(crate) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    // A word that was begun may still be empty: ''.
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' => break,
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a quote ' is not closed")? {
                        '\'' => break,
                        char => word.push(char),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a quote \" is not closed")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("a quote \" is not closed")? {
                            char @ ('"' | '\\') => word.push(char),
                            char => word.extend(['\\', char]),
                        },
                        char => word.push(char),
                    }
                }
            }
            '\\' => word
                .get_or_insert_default()
                .push(chars.next().ok_or("nothing follows the backslash at the end of the line")?),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_python_cuts_them() {
        assert_eq!(split("web1 a=1  b='x y' # c").unwrap(), ["web1", "a=1", "b=x y"]);
        assert_eq!(split("a=x#y z").unwrap(), ["a=x"]);
        assert_eq!(split(r#"a="\"q\" \n" b=C:\\x '' "#).unwrap(), ["a=\"q\" \\n", r"b=C:\x", ""]);
        assert_eq!(split("a='#'\"#\"").unwrap(), ["a=##"]);
        assert!(split("a='x").is_err());
        assert!(split("a=x\\").is_err());
        assert!(split(" # nothing").unwrap().is_empty());
    }
}
