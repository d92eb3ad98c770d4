//! An asynchronous Windows Remote Management client
