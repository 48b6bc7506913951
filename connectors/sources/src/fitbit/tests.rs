//! Every trap of this provider, by name.
