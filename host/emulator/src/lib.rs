//! A small Azure on loopback.
