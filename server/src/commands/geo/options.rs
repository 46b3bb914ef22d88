//! Arguments of GEOSEARCH, GEORADIUS and their kin. Redis looks at the key before them, and at a member as soon as it is named,
//! which decides which of several errors is answered.

use super::super::args::Args;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_f64;
use super::cell::Point;
use super::shape::{Form, Shape};
use super::{point, unit};

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Search,
    SearchStore,
    Radius,
    RadiusRead,
}

/// In which order places are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are found.
    Any,
    NearestFirst,
    FarthestFirst,
}

/// Where the result is to be stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store<'a> {
    pub(super) key: &'a [u8],
    /// Scores are distances, not geohashes.
    pub(super) distances: bool,
}

/// What a search asks for.
pub(super) struct Options<'a> {
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_point: bool,
    pub(super) order: Order,
    /// 0: all.
    pub(super) count: usize,
    /// The first that are found are enough.
    pub(super) any: bool,
    pub(super) store: Option<Store<'a>>,
    centre: Option<Centre>,
    form: Option<(Form, f64)>,
}

#[derive(Clone, Copy)]
enum Centre {
    Place(Point),
    /// A member of a key that is not there.
    Nowhere,
    Given(Point),
}

/// What is known of the sorted set that is searched.
#[derive(Clone, Copy)]
pub(super) struct Within<'s> {
    /// Whether it is there.
    pub(super) exists: bool,
    /// Where a member is, if it is in the set.
    pub(super) place: &'s dyn Fn(&[u8]) -> Option<Point>,
}

impl Within<'_> {
    fn centre(&self, member: &[u8]) -> CommandResult<Centre> {
        if !self.exists {
            return Ok(Centre::Nowhere);
        }
        (self.place)(member)
            .map(Centre::Place)
            .ok_or_else(|| CommandError::reply("ERR could not decode requested zset member"))
    }
}

/// Takes a number that is not negative; `what` names it in errors.
fn size(args: &mut Args<'_>, what: &str) -> CommandResult<f64> {
    parse_f64(args.bytes()?).ok_or_else(|| CommandError::reply(format!("ERR need numeric {what}")))
}

/// Takes a radius and its unit.
fn circle(args: &mut Args<'_>) -> CommandResult<(Form, f64)> {
    let radius = size(args, "radius")?;
    if radius < 0.0 {
        return Err(CommandError::reply("ERR radius cannot be negative"));
    }
    Ok((Form::Circle(radius), unit(args.bytes()?)?))
}

/// Takes a width, a height and their unit.
fn rectangle(args: &mut Args<'_>) -> CommandResult<(Form, f64)> {
    let (width, height) = (size(args, "width")?, size(args, "height")?);
    if width < 0.0 || height < 0.0 {
        return Err(CommandError::reply(
            "ERR height or width cannot be negative",
        ));
    }
    Ok((Form::Box(width, height), unit(args.bytes()?)?))
}

impl<'a> Options<'a> {
    fn new(store: Option<Store<'a>>) -> Self {
        Self {
            with_distance: false,
            with_hash: false,
            with_point: false,
            order: Order::Any,
            count: 0,
            any: false,
            store,
            centre: None,
            form: None,
        }
    }

    /// Of GEOSEARCH and, with a destination, of GEOSEARCHSTORE.
    pub(super) fn of_search(
        args: &mut Args<'a>,
        within: Within<'_>,
        destination: Option<&'a [u8]>,
    ) -> CommandResult<Self> {
        let store = destination.map(|key| Store {
            key,
            distances: false,
        });
        let command = match store {
            Some(_) => Command::SearchStore,
            None => Command::Search,
        };
        let mut options = Self::new(store);
        options.take_all(args, within, command)?;
        options.check_store(command)?;
        let one_of = |words: &str| {
            let name = args.all().first().copied().unwrap_or_default();
            let parts = [
                b"ERR exactly one of ",
                words.as_bytes(),
                b" can be specified for ",
                name,
            ];
            CommandError::quoting(parts)
        };
        if options.centre.is_none() {
            return Err(one_of("FROMMEMBER or FROMLONLAT"));
        }
        if options.form.is_none() {
            return Err(one_of("BYRADIUS and BYBOX"));
        }
        options.check_any()?;
        Ok(options)
    }

    /// Of GEORADIUS, which names its centre first.
    pub(super) fn of_radius(
        args: &mut Args<'a>,
        within: Within<'_>,
        command: Command,
    ) -> CommandResult<Self> {
        let mut options = Self::new(None);
        options.centre = Some(Centre::Given(point(args)?));
        options.form = Some(circle(args)?);
        options.finish_radius(args, within, command)?;
        Ok(options)
    }

    /// Of GEORADIUSBYMEMBER.
    pub(super) fn of_radius_by_member(
        args: &mut Args<'a>,
        within: Within<'_>,
        command: Command,
    ) -> CommandResult<Self> {
        let mut options = Self::new(None);
        options.centre = Some(within.centre(args.bytes()?)?);
        if within.exists {
            options.form = Some(circle(args)?);
        } else {
            // Nobody looks at radius and unit then.
            args.several(2)?;
        }
        options.finish_radius(args, within, command)?;
        Ok(options)
    }

    fn finish_radius(
        &mut self,
        args: &mut Args<'a>,
        within: Within<'_>,
        command: Command,
    ) -> CommandResult {
        self.take_all(args, within, command)?;
        self.check_store(command)?;
        self.check_any()
    }

    fn take_all(
        &mut self,
        args: &mut Args<'a>,
        within: Within<'_>,
        command: Command,
    ) -> CommandResult {
        while !args.is_empty() {
            let searches = matches!(command, Command::Search | Command::SearchStore);
            let taken = self.take_any_command_s(args)?
                || (searches && self.take_of_search(args, within)?)
                || self.take_store(args, command)?;
            if !taken {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(())
    }

    /// Takes an option that all commands have.
    fn take_any_command_s(&mut self, args: &mut Args<'a>) -> CommandResult<bool> {
        if args.flag("WITHDIST") {
            self.with_distance = true;
        } else if args.flag("WITHHASH") {
            self.with_hash = true;
        } else if args.flag("WITHCOORD") {
            self.with_point = true;
        } else if args.flag("ANY") {
            self.any = true;
        } else if args.flag("ASC") {
            self.order = Order::NearestFirst;
        } else if args.flag("DESC") {
            self.order = Order::FarthestFirst;
        } else if args.remaining() > 1 && args.flag("COUNT") {
            let count = args.int()?;
            self.count = usize::try_from(count)
                .ok()
                .filter(|count| *count > 0)
                .ok_or_else(|| CommandError::reply("ERR COUNT must be > 0"))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes a centre or a form.
    fn take_of_search(&mut self, args: &mut Args<'a>, within: Within<'_>) -> CommandResult<bool> {
        let from_point = matches!(self.centre, Some(Centre::Given(_)));
        let from_member = self.centre.is_some() && !from_point;
        let (by_radius, by_box) = match self.form {
            Some((Form::Circle(_), _)) => (true, false),
            Some((Form::Box(..), _)) => (false, true),
            None => (false, false),
        };
        if args.remaining() > 1 && !from_point && args.flag("FROMMEMBER") {
            self.centre = Some(within.centre(args.bytes()?)?);
        } else if args.remaining() > 2 && !from_member && args.flag("FROMLONLAT") {
            self.centre = Some(Centre::Given(point(args)?));
        } else if args.remaining() > 2 && !by_box && args.flag("BYRADIUS") {
            self.form = Some(circle(args)?);
        } else if args.remaining() > 3 && !by_radius && args.flag("BYBOX") {
            self.form = Some(rectangle(args)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes what tells where to store.
    fn take_store(&mut self, args: &mut Args<'a>, command: Command) -> CommandResult<bool> {
        let radius = command == Command::Radius && args.remaining() > 1;
        if radius && args.flag("STORE") {
            let key = args.bytes()?;
            self.store = Some(Store {
                key,
                distances: false,
            });
        } else if radius && args.flag("STOREDIST") {
            let key = args.bytes()?;
            self.store = Some(Store {
                key,
                distances: true,
            });
        } else if let Some(store) = &mut self.store
            && command == Command::SearchStore
            && args.flag("STOREDIST")
        {
            store.distances = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn check_store(&self, command: Command) -> CommandResult {
        if self.store.is_none() || !(self.with_distance || self.with_hash || self.with_point) {
            return Ok(());
        }
        let what = match command {
            Command::SearchStore => "GEOSEARCHSTORE",
            _ => "STORE option in GEORADIUS",
        };
        Err(CommandError::reply(format!(
            "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
        )))
    }

    fn check_any(&self) -> CommandResult {
        if self.any && self.count == 0 {
            return Err(CommandError::reply(
                "ERR the ANY argument requires COUNT argument",
            ));
        }
        Ok(())
    }

    /// As soon as so many places are found, it is enough; none: all are looked at.
    pub(super) fn enough(&self) -> Option<usize> {
        self.any.then_some(self.count)
    }

    /// Where to search. None if the key is not there.
    pub(super) fn shape(&self) -> Option<Shape> {
        let centre = match self.centre? {
            Centre::Place(point) | Centre::Given(point) => point,
            Centre::Nowhere => return None,
        };
        let (form, unit_m) = self.form?;
        Some(Shape {
            centre,
            form,
            unit_m,
        })
    }
}
