//! Tells the cluster where this Store is, when its own configuration says something else than the cluster knows: after a
//! restart at another address. While there is no leader to tell, every member is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use storage::ids::{FIRST_REGION, StoreId};
use storage::proto::command::{MemberAction, MemberStep, MembershipChange, RaftMessage, Request};
use storage::proto::store::{Peer, StoreAddress};
use tokio::sync::oneshot;

use super::shared::Shared;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks again and again, because the leader may be unreachable and the change be lost.
pub async fn keep_address(shared: &Arc<Shared>) -> Infallible {
    loop {
        tokio::time::sleep(INTERVAL).await;
        if shared.router.leader().is_none() {
            introduce(shared);
            continue;
        }
        if let Some(address) = unknown_address(shared) {
            tracing::info!(
                "telling the cluster that this node is at {}:{}",
                address.host,
                address.port
            );
            tell(shared, address).await;
        }
    }
}

/// Tells all members that this Store reaches where it is: a leader may look for it at its old address, and one that does not vote has
/// no other reason to say a word.
fn introduce(shared: &Shared) {
    let own = shared.config.load().advertised(shared.store);
    let (Some(transport), Some(own)) = (shared.transport(), own) else {
        return;
    };
    let peer = |store: StoreId| Peer {
        id: store.get(),
        store_id: store.get(),
    };
    for link in transport.links() {
        let message = RaftMessage {
            region_id: FIRST_REGION.get(),
            from_peer: Some(peer(shared.store)),
            to_peer: Some(peer(link.store)),
            from_address: Some(own.clone()),
            ..RaftMessage::default()
        };
        transport.send(link.store, message);
    }
}

/// Where this Store is, if the cluster knows another address of it. An address that nobody needs yet is not told.
fn unknown_address(shared: &Shared) -> Option<StoreAddress> {
    shared.transport()?;
    let own = shared.config.load().advertised(shared.store)?;
    let status = shared.router.status();
    let known = status.members.get(shared.store)?;
    let ports = [known.port, known.tls_port, known.bus_port].map(u32::from);
    let same = known.host == own.host && ports == [own.port, own.tls_port, own.bus_port];
    (!same && !known.host.is_empty()).then_some(own)
}

/// What becomes of it shows in the next look.
async fn tell(shared: &Arc<Shared>, address: StoreAddress) {
    let step = MemberStep {
        action: MemberAction::SetAddress.into(),
        store: Some(address),
    };
    let request = Request {
        membership: Some(MembershipChange { steps: vec![step] }),
        ..Request::default()
    };
    match (shared.router.leader(), shared.transport()) {
        (Some(leader), _) if leader == shared.store => {
            let (done, wait) = oneshot::channel();
            shared.router.propose(
                request,
                Box::new(move |result| {
                    // This look may be over by now.
                    let _ = done.send(result.map(drop));
                }),
            );
            if let Ok(Err(error)) = wait.await {
                tracing::debug!("the address was not told: {error}");
            }
        }
        (Some(leader), Some(transport)) => {
            if let Err(error) = transport.forward(leader, request).await {
                tracing::debug!("the address was not told: {error}");
            }
        }
        _ => {}
    }
}
