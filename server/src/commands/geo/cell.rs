//! Points on the globe, and geohashes: cells of halves of halves of the globe, whose bits tell by turns which half in longitude
//! and which in latitude.

/// Bits of each coordinate in a score.
pub(super) const MAX_STEP: u32 = 26;

const LONGITUDES: Span = Span {
    min: -180.0,
    max: 180.0,
};
/// What Web Mercator maps to a square; there are no places nearer to the poles.
const LATITUDES: Span = Span {
    min: -85.051_128_78,
    max: 85.051_128_78,
};
/// What geohashes in text are made of.
const ALL_LATITUDES: Span = Span {
    min: -90.0,
    max: 90.0,
};

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Characters of a geohash in text; the last one is always 0, because there are only bits for ten.
const TEXT_LEN: usize = 11;

/// Bits of longitudes in a cell's; those of latitudes are the others.
const LONGITUDE_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// A range of coordinates in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Span {
    fn contains(self, coordinate: f64) -> bool {
        (self.min..=self.max).contains(&coordinate)
    }

    /// Which one of 2^step equal parts holds a coordinate.
    fn part(self, coordinate: f64, step: u32) -> u32 {
        let offset = (coordinate - self.min) / (self.max - self.min);
        (offset * (1u64 << step) as f64) as u32
    }

    /// The span of such a part.
    fn of_part(self, part: u32, step: u32) -> Self {
        let bound = |part: u32| {
            let offset = f64::from(part) / (1u64 << step) as f64;
            self.min + offset * (self.max - self.min)
        };
        Self {
            min: bound(part),
            max: bound(part.wrapping_add(1)),
        }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// A place in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    /// True if it has a geohash.
    pub(super) fn is_valid(self) -> bool {
        LONGITUDES.contains(self.longitude) && LATITUDES.contains(self.latitude)
    }

    /// The score of a member at this place.
    pub(super) fn score(self) -> f64 {
        Cell::of(self, MAX_STEP).bits as f64
    }

    /// The middle of the cell that a score stands for, whatever the score.
    pub(super) fn of_score(score: f64) -> Self {
        let cell = Cell {
            bits: to_bits(score),
            step: MAX_STEP,
        };
        let area = cell.area();
        Self {
            longitude: area
                .longitudes
                .middle()
                .clamp(LONGITUDES.min, LONGITUDES.max),
            latitude: area.latitudes.middle().clamp(LATITUDES.min, LATITUDES.max),
        }
    }

    /// The geohash as others write it.
    pub(super) fn text(self) -> [u8; TEXT_LEN] {
        let bits = Cell::in_spans(self, LONGITUDES, ALL_LATITUDES, MAX_STEP).bits;
        let mut text = [ALPHABET[0]; TEXT_LEN];
        for (place, byte) in text.iter_mut().take(TEXT_LEN - 1).enumerate() {
            let digit = bits >> (2 * MAX_STEP as usize - 5 * (place + 1)) & 0x1f;
            *byte = ALPHABET[digit as usize];
        }
        text
    }
}

/// A score as bits. Those that no place has are taken as Redis takes them on x86-64.
fn to_bits(score: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if score < HALF {
        return score as i64 as u64;
    }
    let rest = score - HALF;
    let rest = if rest < HALF { rest as u64 } else { 1 << 63 };
    rest ^ 1 << 63
}

/// One of 4^step parts of the globe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    pub(super) step: u32,
}

/// What a cell covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) longitudes: Span,
    pub(super) latitudes: Span,
}

impl Cell {
    /// The cell of a valid point.
    pub(super) fn of(point: Point, step: u32) -> Self {
        Self::in_spans(point, LONGITUDES, LATITUDES, step)
    }

    fn in_spans(point: Point, longitudes: Span, latitudes: Span, step: u32) -> Self {
        let longitude = spread(longitudes.part(point.longitude, step));
        let latitude = spread(latitudes.part(point.latitude, step));
        Self {
            bits: longitude << 1 | latitude,
            step,
        }
    }

    /// What it covers.
    pub(super) fn area(self) -> Area {
        Area {
            longitudes: LONGITUDES.of_part(gather(self.bits >> 1), self.step),
            latitudes: LATITUDES.of_part(gather(self.bits), self.step),
        }
    }

    /// The scores of its members: from the first, and below the second.
    pub(super) fn scores(self) -> (f64, f64) {
        let shift = 2 * (MAX_STEP - self.step);
        (
            (self.bits << shift) as f64,
            ((self.bits + 1) << shift) as f64,
        )
    }

    /// The cell so many to the east and to the north of it, around the globe: -1, 0 or 1.
    pub(super) fn neighbour(self, east: i64, north: i64) -> Self {
        let all = u64::MAX >> (64 - 2 * self.step);
        let moved = |lane: u64, by: i64| {
            let (lane, others) = (lane & all, !lane & all);
            let bits = self.bits & lane;
            match by {
                // With ones between the bits of a lane, a carry runs through to the next bit of it.
                1 => (bits | others).wrapping_add(lane & lane.wrapping_neg()) & lane,
                -1 => bits.wrapping_sub(lane & lane.wrapping_neg()) & lane,
                _ => bits,
            }
        };
        Self {
            bits: moved(LONGITUDE_BITS, east) | moved(!LONGITUDE_BITS, north),
            step: self.step,
        }
    }
}

/// Puts a zero before each bit.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Every other bit, beginning with the lowest.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_places() {
        // From the documentation of GEOADD and GEOHASH.
        let palermo = Point {
            longitude: 13.361_389,
            latitude: 38.115_556,
        };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
        let stored = Point::of_score(palermo.score());
        assert_eq!(&stored.text(), b"sqc8b49rny0");
        assert!((stored.longitude - palermo.longitude).abs() < 1e-5);
        assert!((stored.latitude - palermo.latitude).abs() < 1e-5);
    }

    #[test]
    fn bits_spread_and_gather() {
        for number in [0, 1, 0xffff_ffff, 0x1234_5678, 0x8000_0001] {
            assert_eq!(gather(spread(number)), number);
            assert_eq!(gather(spread(number) << 1), 0);
        }
    }

    #[test]
    fn neighbours_lie_beside_each_other_around_the_globe() {
        for step in [1, 2, 5, MAX_STEP] {
            let side = 1u64 << step;
            let cell = |x: u64, y: u64| Cell {
                bits: spread((x % side) as u32) << 1 | spread((y % side) as u32),
                step,
            };
            for (x, y) in [
                (0, 0),
                (side - 1, side - 1),
                (1, 0),
                (side / 2, side / 2 - 1),
            ] {
                for (east, north) in [
                    (0, 1),
                    (0, -1),
                    (1, 0),
                    (-1, 0),
                    (1, 1),
                    (-1, 1),
                    (1, -1),
                    (-1, -1),
                ] {
                    let expected = cell(
                        x.wrapping_add_signed(east).wrapping_add(side),
                        y.wrapping_add_signed(north).wrapping_add(side),
                    );
                    assert_eq!(
                        cell(x, y).neighbour(east, north),
                        expected,
                        "{step} {x} {y} {east} {north}"
                    );
                }
            }
        }
    }

    #[test]
    fn scores_that_are_no_places_are_taken_somehow() {
        assert_eq!(to_bits(-1.0), u64::MAX);
        assert_eq!(to_bits(f64::NEG_INFINITY), 1 << 63);
        assert_eq!(to_bits(f64::INFINITY), 0);
        assert_eq!(to_bits(9_223_372_036_854_775_808.0), 1 << 63);
        assert_eq!(to_bits(3.7), 3);
        assert!(Point::of_score(-1e300).is_valid());
    }
}
