//! An embedded Windows Remote Management service
