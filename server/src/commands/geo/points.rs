//! What searches for places look at, told from their arguments: of a large sorted set that is only on disk, the members in the cells
//! that cover the shape, and not the others.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use smallvec::smallvec;
use storage::dataset::{Looks, Members, Point, RankLooks, Search, Searched};

use super::super::args::Args;
use super::super::points::Points;
use super::cell;
use super::options::{Command, Options, Within};
use super::shape::{Form, Shape};

/// A shape around a point, or around a member.
#[derive(Clone, Debug, PartialEq)]
struct Near {
    centre: Option<cell::Point>,
    form: Form,
    unit_m: f64,
}

impl Near {
    fn shape(&self, around: Option<f64>) -> Option<Shape> {
        Some(Shape {
            centre: self.centre.or_else(|| around.map(cell::Point::of_score))?,
            form: self.form,
            unit_m: self.unit_m,
        })
    }
}

impl Search for Near {
    fn spans(&self, around: Option<f64>) -> Vec<(f64, f64)> {
        let cells = self.shape(around).map(|shape| shape.cells());
        let cells = cells.into_iter().flatten();
        cells.map(|cell| cell.scores()).collect()
    }

    fn finds(&self, around: Option<f64>, score: f64) -> bool {
        let point = cell::Point::of_score(score);
        let shape = self.shape(around);
        shape.is_some_and(|shape| shape.distance_within_m(point).is_some())
    }

    fn is_same(&self, other: &dyn Search) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}

/// The sorted set of a search, and which of its members the search looks at; none if it is no search. `args` begins with the name.
pub(in super::super) fn of<'a>(name: &str, args: &[&'a [u8]]) -> Option<Points<'a>> {
    let at = match name {
        "geosearchstore" => 2,
        "geosearch"
        | "georadius"
        | "georadius_ro"
        | "georadiusbymember"
        | "georadiusbymember_ro" => 1,
        _ => return None,
    };
    let &key = args.get(at)?;
    let mut rest = Args::new(args);
    for _ in 0..at {
        rest.bytes().ok()?;
    }
    // Wherever they are, members are looked at one by one.
    let members = RefCell::new(Vec::new());
    let within = Within {
        exists: true,
        place: &|member| {
            members.borrow_mut().push(Box::from(member));
            Some(cell::Point::of_score(0.0))
        },
    };
    let options = match name {
        "geosearch" => Options::of_search(&mut rest, within, None),
        "geosearchstore" => Options::of_search(&mut rest, within, args.get(1).copied()),
        "georadius" => Options::of_radius(&mut rest, within, Command::Radius),
        "georadius_ro" => Options::of_radius(&mut rest, within, Command::RadiusRead),
        "georadiusbymember" => Options::of_radius_by_member(&mut rest, within, Command::Radius),
        _ => Options::of_radius_by_member(&mut rest, within, Command::RadiusRead),
    };
    let near = options.ok().and_then(|options| {
        let shape = options.shape()?;
        let near = Near {
            centre: members.borrow().is_empty().then_some(shape.centre),
            form: shape.form,
            unit_m: shape.unit_m,
        };
        Some((near, options.enough()))
    });
    let members = members.into_inner();
    let looks = match near {
        Some((near, enough)) => Looks::Ranks(RankLooks::Search(Searched {
            members,
            by: Arc::new(near),
            enough,
        })),
        // What is wrong is answered when the members before it were looked at.
        None => Looks::Elements(named_in(args, &members)),
    };
    Some(smallvec![Point { key, looks }])
}

/// These members, as they stand in the arguments.
fn named_in<'a>(args: &[&'a [u8]], members: &[Box<[u8]>]) -> Members<'a> {
    let is_named = |arg: &&&[u8]| members.iter().any(|member| **member == ***arg);
    args.iter().filter(is_named).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(command: &str) -> Option<(Vec<u8>, Looks<Members<'_>>)> {
        let args: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        let name = std::str::from_utf8(args[0]).unwrap();
        let points = of(name, &args)?;
        assert_eq!(points.len(), 1);
        Some((points[0].key.to_vec(), points[0].looks.clone()))
    }

    fn searched(command: &str) -> Searched {
        match looks(command) {
            Some((key, Looks::Ranks(RankLooks::Search(searched)))) if key == b"k" => searched,
            other => panic!("{command}: {other:?}"),
        }
    }

    #[test]
    fn a_search_looks_into_cells_around_a_point_or_a_member() {
        let point = searched("geosearch k fromlonlat 13.4 38.1 byradius 10 km asc count 5");
        assert_eq!((point.members.len(), point.enough), (0, None));
        assert!((1..=9).contains(&point.by.spans(None).len()));
        let there = cell::Point {
            longitude: 13.4,
            latitude: 38.1,
        };
        assert!(point.by.finds(None, there.score()));
        assert!(!point.by.finds(None, 0.0));

        let member = searched("geosearchstore d k frommember m bybox 3 4 mi count 5 any");
        assert_eq!(member.members, [Box::from(&b"m"[..])]);
        assert_eq!(member.enough, Some(5));
        assert!(member.by.spans(None).is_empty());
        let spans = member.by.spans(Some(there.score()));
        let holds = |&(min, max): &(f64, f64)| (min..max).contains(&there.score());
        assert!(spans.iter().any(holds));

        for (same, other) in [
            ("georadius k 1 2 3 m", "georadius_ro k 1 2 3 m withdist"),
            (
                "georadiusbymember k m 3 km store d",
                "geosearch k byradius 3 km frommember m",
            ),
        ] {
            assert_eq!(searched(same), searched(other));
        }
        let other = searched("georadius k 1 2 4 m");
        assert_ne!(searched("georadius k 1 2 3 m"), other);
    }

    #[test]
    fn wrong_arguments_are_refused_after_the_members_before_them() {
        let named = |members: &[&'static [u8]]| Looks::Elements(members.iter().copied().collect());
        for (command, members) in [
            (
                "geosearch k frommember m byradius x km",
                &[b"m" as &[u8]][..],
            ),
            ("geosearch k fromlonlat 1 2 byradius x km", &[]),
            ("georadiusbymember k m x km", &[b"m"]),
        ] {
            assert_eq!(looks(command).unwrap().1, named(members), "{command}");
        }
        assert_eq!(looks("geodist k a b"), None);
    }
}
