//! WS-Management for Windows Remote Management: typed operations to and from SOAP bytes, without I/O
