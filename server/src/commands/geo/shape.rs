//! Circles and boxes on the globe: what is within, how far it is, and the cells that cover a shape. Sines are computed by the
//! `libm` crate, so that replicas of any platform agree about which places a stored search finds.

use super::cell::{Cell, MAX_STEP, Point};

/// Half of the earth's circumference in Web Mercator, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;
/// The earth's radius as Redis has it, in metres.
const EARTH_RADIUS_M: f64 = 6_372_797.560_856;

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// Metres between two points along a great circle, by the haversine formula.
pub(super) fn distance_m(from: Point, to: Point) -> f64 {
    let half_longitude = libm::sin((radians(to.longitude) - radians(from.longitude)) / 2.0);
    if half_longitude == 0.0 {
        return latitude_distance_m(from.latitude, to.latitude);
    }
    let (from_latitude, to_latitude) = (radians(from.latitude), radians(to.latitude));
    let half_latitude = libm::sin((to_latitude - from_latitude) / 2.0);
    let square = half_latitude * half_latitude
        + libm::cos(from_latitude) * libm::cos(to_latitude) * half_longitude * half_longitude;
    2.0 * EARTH_RADIUS_M * libm::asin(square.sqrt())
}

fn latitude_distance_m(from: f64, to: f64) -> f64 {
    EARTH_RADIUS_M * (radians(to) - radians(from)).abs()
}

/// What a search looks into, around a centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Radius.
    Circle(f64),
    /// Width and height, along the parallels and meridians.
    Box(f64, f64),
}

/// A form somewhere on the globe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) centre: Point,
    pub(super) form: Form,
    /// Metres of the unit in which the form is given.
    pub(super) unit_m: f64,
}

/// Greatest extents of a shape, in degrees.
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Shape {
    /// Metres from the centre to a point within the shape.
    pub(super) fn distance_within_m(&self, point: Point) -> Option<f64> {
        let (centre, unit_m) = (self.centre, self.unit_m);
        match self.form {
            Form::Circle(radius) => {
                let distance = distance_m(centre, point);
                if distance > radius * unit_m {
                    return None;
                }
                Some(distance)
            }
            Form::Box(width, height) => {
                if latitude_distance_m(point.latitude, centre.latitude) > height * unit_m / 2.0 {
                    return None;
                }
                let beside = Point {
                    latitude: point.latitude,
                    ..centre
                };
                if distance_m(point, beside) > width * unit_m / 2.0 {
                    return None;
                }
                Some(distance_m(centre, point))
            }
        }
    }

    /// The cells that cover the shape, the centre's first, in the order in which Redis looks into them. Around the whole globe a cell
    /// may be its own neighbour's neighbour: Redis compares each with the one before it only, and that not with the first, so some
    /// of them may be the same.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut step = self.step();
        let mut cell = Cell::of(self.centre, step);
        if step > 1 && !reaches(cell, &bounds) {
            step -= 1;
            cell = Cell::of(self.centre, step);
        }
        // Of the coarsest cells, neighbours are on both sides.
        let all = step < 2;
        let area = cell.area();
        let south = all || area.latitudes.min >= bounds.south;
        let north = all || area.latitudes.max <= bounds.north;
        let west = all || area.longitudes.min >= bounds.west;
        let east = all || area.longitudes.max <= bounds.east;
        let neighbours = [
            (0, 1, north),
            (0, -1, south),
            (1, 0, east),
            (-1, 0, west),
            (1, 1, north && east),
            (-1, 1, north && west),
            (1, -1, south && east),
            (-1, -1, south && west),
        ];
        let needed = neighbours.into_iter().filter(|(_, _, needed)| *needed);
        let mut others: Vec<Cell> = needed
            .map(|(east, north, _)| cell.neighbour(east, north))
            .collect();
        others.dedup();
        [vec![cell], others].concat()
    }

    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = match self.form {
            Form::Circle(radius) => (radius, radius),
            Form::Box(width, height) => (width / 2.0, height / 2.0),
        };
        let Point {
            longitude,
            latitude,
        } = self.centre;
        let height = degrees(self.unit_m * half_height / EARTH_RADIUS_M);
        // The nearer to a pole, the more degrees a metre is: the edge that is nearer counts.
        let widest = if latitude < 0.0 {
            latitude - height
        } else {
            latitude + height
        };
        let width = degrees(self.unit_m * half_width / EARTH_RADIUS_M / libm::cos(radians(widest)));
        Bounds {
            west: longitude - width,
            south: latitude - height,
            east: longitude + width,
            north: latitude + height,
        }
    }

    /// How fine cells may be for one and its neighbours to cover the shape, most of the time.
    fn step(&self) -> u32 {
        let radius = match self.form {
            Form::Circle(radius) => radius,
            Form::Box(width, height) => {
                let (width, height) = (width / 2.0, height / 2.0);
                (width * width + height * height).sqrt()
            }
        };
        let mut range_m = radius * self.unit_m;
        if range_m == 0.0 {
            return MAX_STEP;
        }
        let mut step = -1;
        while range_m < MERCATOR_MAX_M {
            range_m *= 2.0;
            step += 1;
        }
        let latitude = self.centre.latitude.abs();
        step -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        step.clamp(1, MAX_STEP as i32) as u32
    }
}

/// Whether a cell and its neighbours cover the bounds, those beyond the edges of the map apart.
fn reaches(cell: Cell, bounds: &Bounds) -> bool {
    let north = cell.neighbour(0, 1).area().latitudes.max;
    let south = cell.neighbour(0, -1).area().latitudes.min;
    let east = cell.neighbour(1, 0).area().longitudes.max;
    let west = cell.neighbour(-1, 0).area().longitudes.min;
    !(north < bounds.north || south > bounds.south || east < bounds.east || west > bounds.west)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Point = Point {
        longitude: 13.361_389_338_970_184,
        latitude: 38.115_556_395_496_3,
    };
    const CATANIA: Point = Point {
        longitude: 15.087_267_458_438_873,
        latitude: 37.502_668_423_331_62,
    };

    #[test]
    fn known_distances() {
        // From the documentation of GEODIST and GEOSEARCH.
        assert!((distance_m(PALERMO, CATANIA) - 166_274.151_6).abs() < 1e-4);
        let centre = Point {
            longitude: 15.0,
            latitude: 37.0,
        };
        let within = |form| {
            let shape = Shape {
                centre,
                form,
                unit_m: 1000.0,
            };
            [PALERMO, CATANIA].map(|point| shape.distance_within_m(point).is_some())
        };
        assert_eq!(within(Form::Circle(200.0)), [true, true]);
        assert_eq!(within(Form::Circle(100.0)), [false, true]);
        assert_eq!(within(Form::Box(400.0, 400.0)), [true, true]);
        assert_eq!(within(Form::Box(400.0, 200.0)), [false, true]);
    }

    /// Whatever lies within a shape that does not reach over the edges of the map lies in one of its cells.
    #[test]
    fn cells_cover_the_shape() {
        let (mut found, mut state) = (0, 7_u64);
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for _ in 0..3000 {
            let centre = Point {
                longitude: next() * 300.0 - 150.0,
                latitude: next() * 120.0 - 60.0,
            };
            let size = 10_f64.powf(next() * 6.0);
            let form = if next() < 0.5 {
                Form::Circle(size)
            } else {
                Form::Box(size * next() * 2.0, size)
            };
            let shape = Shape {
                centre,
                form,
                unit_m: 1.0,
            };
            let cells = shape.cells();
            let spread = size / 111_000.0 * 4.0;
            for _ in 0..20 {
                let point = Point {
                    longitude: centre.longitude + (next() - 0.5) * spread,
                    latitude: centre.latitude + (next() - 0.5) * spread,
                };
                if point.is_valid() && shape.distance_within_m(point).is_some() {
                    let score = point.score();
                    let holds = |cell: &Cell| {
                        let (min, max) = cell.scores();
                        min <= score && score < max
                    };
                    assert!(cells.iter().any(holds), "{shape:?} {point:?}");
                    found += 1;
                }
            }
        }
        assert!(found > 5000, "{found}");
    }
}
