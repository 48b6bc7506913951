//! The API over HTTP: who is let in, what a browser may do, and what others learn.

mod access;
mod connect;
mod mail;
mod reading;
mod world;
