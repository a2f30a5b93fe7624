//! Where the parts of the screen are, by its size.

use ratatui::layout::Rect;

/// From this size on the header has a third line.
const ROOMY: (u16, u16) = (110, 30);

/// Below this height the header is one line and there are no tabs.
const TINY: u16 = 16;

/// The parts of the screen, from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Places {
    pub(super) header: Rect,
    /// The line with the names of the screens.
    pub(super) tabs: Rect,
    pub(super) body: Rect,
    /// A remark, and the keys.
    pub(super) footer: Rect,
}

impl Places {
    pub(in crate::console) fn of((width, height): (u16, u16)) -> Self {
        let header = match (width, height) {
            (_, 0..TINY) => 1,
            (width, height) if width >= ROOMY.0 && height >= ROOMY.1 => 3,
            _ => 2,
        };
        let mut top = 0;
        let mut take = |wanted: u16| {
            let rows = wanted.min(height - top);
            let place = Rect { x: 0, y: top, width, height: rows };
            top += rows;
            place
        };
        let header = take(header);
        let tabs = take(u16::from(height >= TINY));
        let footer = (height - header.height - tabs.height).min(2);
        let body = take(height - header.height - tabs.height - footer);
        let footer = take(footer);
        Self { header, tabs, body, footer }
    }

    /// Rows between header and footer.
    pub(in crate::console) fn body_rows(&self) -> u16 {
        self.body.height
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_the_screen_at_every_size() {
        for height in (0..70).chain([u16::MAX]) {
            for width in [0, 1, 40, 80, 110, 200, u16::MAX] {
                let places = Places::of((width, height));
                let parts = [places.header, places.tabs, places.body, places.footer];
                assert_eq!(parts.iter().map(|part| part.height).sum::<u16>(), height, "{places:?}");
                assert!(parts.windows(2).all(|two| two[0].bottom() == two[1].y), "{places:?}");
            }
        }
        assert_eq!(Places::of((80, 24)).body_rows(), 19);
        assert_eq!(Places::of((40, 12)).body_rows(), 9);
    }
}
