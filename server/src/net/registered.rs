//! A connection's place in the registry, given back however the connection ends.

use std::sync::Arc;

use crate::dispatch::Shared;
use crate::session::{Address, Client};

/// Registered from accepting to closing.
pub(super) struct Registered {
    shared: Arc<Shared>,
    client: Arc<Client>,
}

impl Registered {
    pub(super) fn new(shared: &Arc<Shared>, address: Address) -> Self {
        Self {
            client: shared.clients.add(address),
            shared: Arc::clone(shared),
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.clients.remove(self.client.id);
    }
}
