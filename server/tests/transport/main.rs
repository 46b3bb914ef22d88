//! Transports talking over loopback: to each other, through a meddling proxy, and to intruders who speak the wire by hand.

mod forwarding;
mod intruders;
mod messages;
mod nodes;
mod proxy;
mod snapshots;
mod wire;
