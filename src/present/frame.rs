//! What a screen is made of: rows at fixed places, framed panels, and at most one thing on top.

use super::glyph::Glyphs;
use super::line::{Line, Role};

/// A rectangle of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Area {
    /// First column.
    pub x: u16,
    /// First row.
    pub y: u16,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Area {
    /// Cuts `height` rows off the top.
    pub(super) fn take_top(&mut self, height: u16) -> Self {
        let height = height.min(self.height);
        let top = Self { height, ..*self };
        self.y += height;
        self.height -= height;
        top
    }

    /// The left part with `width` columns and the rest. They share one column, where the frames meet.
    pub(super) fn split_left(self, width: u16) -> (Self, Self) {
        let width = width.min(self.width);
        let left = Self { width, ..self };
        let shared = u16::from(width > 0);
        let right = Self { x: self.x + width - shared, width: self.width - width + shared, ..self };
        (left, right)
    }
}

/// How a panel is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Border {
    /// Not at all.
    None,
    /// With single lines.
    #[default]
    Single,
    /// With a double line at top and bottom: moves production.
    Heavy,
}

/// A framed part of the body. Its last row is a border only when it is `closed`: a panel below brings its own top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Panel {
    /// Where, border included.
    pub area: Area,
    /// The frame.
    pub border: Border,
    /// With a bottom border.
    pub closed: bool,
    /// At the left of the top border.
    pub title: Line,
    /// At the right of the top border.
    pub right: Line,
    /// From top to bottom; what does not fit is cut.
    pub lines: Vec<Line>,
}

impl Panel {
    /// A panel with single lines.
    pub(super) fn new(area: Area, title: Line, right: Line) -> Self {
        Self { area, title, right, ..Self::default() }
    }

    /// With a bottom border.
    pub(super) fn close(mut self) -> Self {
        self.closed = true;
        self
    }

    /// With this content.
    pub(super) fn with(mut self, lines: Vec<Line>) -> Self {
        self.lines = lines;
        self
    }

    /// Columns for text inside the frame: one stays blank before the right border.
    pub(super) fn inner_width(&self) -> usize {
        let frame = if self.border == Border::None { 0 } else { 3 };
        usize::from(self.area.width).saturating_sub(frame)
    }

    /// Rows inside the frame.
    pub(super) fn inner_height(&self) -> usize {
        let frame = if self.border == Border::None { 0 } else { 1 + usize::from(self.closed) };
        usize::from(self.area.height).saturating_sub(frame)
    }
}

/// A full-width row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub y: u16,
    /// The role of the whole row, blanks included.
    pub fill: Role,
    /// What.
    pub line: Line,
}

/// Everything on the screen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The signs in use.
    pub glyphs: Glyphs,
    /// Identity, flight, views, banners, hints, message.
    pub rows: Vec<Row>,
    /// The body.
    pub panels: Vec<Panel>,
    /// A prompt or the help, over the body.
    pub overlay: Option<Panel>,
}

/// How much room there is. Never too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// Below 40x12: a few lines.
    Tiny,
    /// From 40x12: one compact page.
    Compact,
    /// From 80x24.
    Small,
    /// From 100x30.
    Medium,
    /// From 160x40.
    Large,
}

impl Tier {
    pub(super) fn of(width: u16, height: u16) -> Self {
        match (width, height) {
            (160.., 40..) => Self::Large,
            (100.., 30..) => Self::Medium,
            (80.., 24..) => Self::Small,
            (40.., 12..) => Self::Compact,
            _ => Self::Tiny,
        }
    }
}
