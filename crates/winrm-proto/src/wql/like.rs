//! Patterns of LIKE.

/// One element of a LIKE pattern.
enum Piece {
    /// `%`
    Any,
    /// `_`
    One,
    /// `[a-f]`, `[^a-f]`
    Set {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    Character(char),
}

/// LIKE: `%` any characters, `_` one, `[abc]`, `[a-c]`, `[^a-c]` one of a set, without regard to case.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let pattern = pieces(&super::folded(pattern));
    let text: Vec<char> = super::folded(text).chars().collect();
    // Back to the last `%` only: never more steps than one length times the other.
    let (mut piece, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match pattern.get(piece) {
            Some(Piece::Any) => {
                retry = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            Some(Piece::One) => true,
            Some(Piece::Character(character)) => *character == text[at],
            Some(Piece::Set { ranges, negated }) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&text[at])) != *negated,
            None => false,
        };
        if fits {
            (piece, at) = (piece + 1, at + 1);
        } else if let Some((behind, from)) = retry {
            retry = Some((behind, from + 1));
            (piece, at) = (behind, from + 1);
        } else {
            return false;
        }
    }
    pattern[piece..].iter().all(|piece| matches!(piece, Piece::Any))
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let characters: Vec<char> = pattern.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let set = (rest[0] == '[')
            .then(|| rest.iter().position(|character| *character == ']'))
            .flatten();
        match (rest[0], set) {
            ('%', _) => pieces.push(Piece::Any),
            ('_', _) => pieces.push(Piece::One),
            ('[', Some(end)) if end > 1 => {
                let negated = rest[1] == '^' && end > 2;
                let mut members = &rest[if negated { 2 } else { 1 }..end];
                let mut ranges = Vec::new();
                while let Some((&first, others)) = members.split_first() {
                    match others {
                        ['-', last, behind @ ..] => {
                            ranges.push((first, *last));
                            members = behind;
                        }
                        _ => {
                            ranges.push((first, first));
                            members = others;
                        }
                    }
                }
                pieces.push(Piece::Set { ranges, negated });
                at += end;
            }
            (character, _) => pieces.push(Piece::Character(character)),
        }
        at += 1;
    }
    pieces
}
