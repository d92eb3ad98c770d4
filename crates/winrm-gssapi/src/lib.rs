//! The system's GSSAPI library, loaded at run time
