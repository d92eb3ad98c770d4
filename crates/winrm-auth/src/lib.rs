//! Authentication for Windows Remote Management: token machines and message encryption for both sides, without I/O
