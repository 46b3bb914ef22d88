//! What must hold after a cycle, whatever was done in it.

use std::collections::HashMap;

use tests::process::Client;
use tests::sim::linearizable::{Event, is_linearizable};

use crate::load::{Push, Seen};

/// The first thing that is wrong.
pub(crate) fn check(cycle: u64, seen: &[Seen], client: &mut Client) -> Result<(), String> {
    if let Some(torn) = seen.iter().find_map(|seen| seen.torn.as_ref()) {
        return Err(format!(
            "two keys that are always written together differed: {torn}"
        ));
    }
    let mut registers: HashMap<u64, Vec<Event>> = HashMap::new();
    for (register, events) in seen.iter().flat_map(|seen| &seen.registers) {
        registers.entry(*register).or_default().extend(events);
    }
    for (register, mut events) in registers {
        if !is_linearizable(&events) {
            events.sort_by_key(|event| event.invoked);
            let lines: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
            return Err(format!(
                "register:{cycle}:{register} is not linearizable:\n{}",
                lines.join("\n")
            ));
        }
    }
    list(cycle, seen, client)
}

/// Acknowledged pushes are there, once, in an order that their times allow; nothing is there that nobody pushed.
fn list(cycle: u64, seen: &[Seen], client: &mut Client) -> Result<(), String> {
    let name = format!("list:{cycle}");
    let reply = client.call(&["LRANGE", &name, "0", "-1"]);
    let reply = reply.map_err(|error| format!("{name} cannot be read: {error}"))?;
    let elements = reply
        .as_slice()
        .ok_or_else(|| format!("{name}: {reply:?}"))?;
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (place, element) in elements.iter().enumerate() {
        let number = element.as_str().and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| format!("{name}: {element:?}"))?;
        if places.insert(number, place).is_some() {
            return Err(format!("{name} has {number} twice"));
        }
    }
    let pushes: Vec<&Push> = seen.iter().flat_map(|seen| &seen.pushes).collect();
    let known: HashMap<u64, &Push> = pushes.iter().map(|push| (push.number, *push)).collect();
    if let Some(stranger) = places.keys().find(|number| !known.contains_key(number)) {
        return Err(format!("{name} has {stranger}, which nobody pushed"));
    }
    let mut acknowledged: Vec<&&Push> = pushes
        .iter()
        .filter(|push| push.returned.is_some())
        .collect();
    if let Some(lost) = acknowledged
        .iter()
        .find(|push| !places.contains_key(&push.number))
    {
        return Err(format!(
            "{name} has lost {}, which was acknowledged",
            lost.number
        ));
    }
    // In the list's order, no push may have been acknowledged before an earlier one was asked for.
    acknowledged.sort_by_key(|push| places[&push.number]);
    let mut latest_invoked = 0;
    for push in acknowledged {
        if push
            .returned
            .is_some_and(|returned| returned < latest_invoked)
        {
            return Err(format!(
                "{name} has {} behind one that was pushed later",
                push.number
            ));
        }
        latest_invoked = latest_invoked.max(push.invoked);
    }
    Ok(())
}
