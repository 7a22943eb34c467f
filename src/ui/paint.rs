//! Frames -> cells. Whatever lies outside the buffer is cut; nothing here can fail.

use super::Theme;
use crate::domain::text::width;
use crate::present::{Area, Border, Frame, Glyphs, Line, Paint, Panel, Role, Row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Draws a frame.
pub fn draw(frame: &Frame, theme: &Theme, target: &mut ratatui::Frame<'_>) {
    paint(frame, theme, target.buffer_mut());
}

/// Draws a frame into a buffer.
pub fn paint(frame: &Frame, theme: &Theme, buffer: &mut Buffer) {
    let mut canvas = Canvas { buffer, theme, glyphs: frame.glyphs };
    for panel in &frame.panels {
        canvas.panel(panel);
    }
    for row in &frame.rows {
        canvas.row(row, frame.width);
    }
    if let Some(overlay) = &frame.overlay {
        canvas.clear_around(overlay.area);
        canvas.panel(overlay);
    }
}

struct Canvas<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    glyphs: Glyphs,
}

/// The pieces of a frame around a panel.
struct Signs {
    horizontal: &'static str,
    vertical: &'static str,
    corners: [&'static str; 4],
}

impl Canvas<'_> {
    fn clip(&self, area: Area) -> Rect {
        Rect { x: area.x, y: area.y, width: area.width, height: area.height }.intersection(self.buffer.area)
    }

    fn row(&mut self, row: &Row, columns: u16) {
        let area = self.clip(Area { x: 0, y: row.y, width: columns, height: 1 });
        if area.is_empty() {
            return;
        }
        let base = self.theme.style(row.fill, Paint::Word);
        self.blank(area, base);
        self.line(area.x, area.y, area.right(), &row.line, base);
    }

    fn panel(&mut self, panel: &Panel) {
        let area = self.clip(panel.area);
        if area.is_empty() {
            return;
        }
        self.unhook(area);
        self.blank(area, Style::new());
        if panel.border == Border::None {
            self.lines(panel, area.x, area.y, area.right(), area.bottom());
            return;
        }
        self.border(panel, area);
        let bottom = area.bottom().saturating_sub(u16::from(panel.closed));
        self.lines(panel, area.x.saturating_add(1), area.y.saturating_add(1), area.right().saturating_sub(1), bottom);
    }

    fn lines(&mut self, panel: &Panel, x: u16, top: u16, right: u16, bottom: u16) {
        for (y, line) in (top..bottom).zip(&panel.lines) {
            self.line(x, y, right, line, Style::new());
        }
    }

    /// A blank column at both sides, so that what lies below does not run into what lies on top.
    fn clear_around(&mut self, area: Area) {
        let wider = Area { x: area.x.saturating_sub(1), width: area.width.saturating_add(1 + u16::from(area.x > 0)), ..area };
        let wider = self.clip(wider);
        self.unhook(wider);
        self.blank(wider, Style::new());
    }

    /// A wide character whose right half would be covered must not hang over into the area.
    fn unhook(&mut self, area: Rect) {
        for y in area.top()..area.bottom() {
            if let Some(x) = area.x.checked_sub(1)
                && let Some(cell) = self.buffer.cell_mut((x, y))
                && width(cell.symbol()) > 1
            {
                cell.set_symbol(" ");
            }
        }
    }

    fn blank(&mut self, area: Rect, style: Style) {
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    fn border(&mut self, panel: &Panel, area: Rect) {
        let signs = signs(self.glyphs, panel.border);
        let style = self.theme.style(Role::Border, Paint::Mark);
        let (left, right, top, bottom) = (area.left(), area.right() - 1, area.top(), area.bottom() - 1);
        for x in left..=right {
            self.put(x, top, signs.horizontal, style);
            if panel.closed {
                self.put(x, bottom, signs.horizontal, style);
            }
        }
        for y in top..=bottom {
            self.put(left, y, signs.vertical, style);
            self.put(right, y, signs.vertical, style);
        }
        if panel.closed {
            self.put(left, bottom, signs.corners[2], style);
            self.put(right, bottom, signs.corners[3], style);
        }
        self.put(left, top, signs.corners[0], style);
        self.put(right, top, signs.corners[1], style);
        self.titles(panel, area);
    }

    /// `┌─ TITLE ──── right ─┐`. The right one stays whole: it says how old the data is.
    fn titles(&mut self, panel: &Panel, area: Rect) {
        let room = usize::from(area.width).saturating_sub(6);
        let taken = if panel.right.is_empty() { 0 } else { (panel.right.width() + 2).min(room) };
        let right = panel.right.clone().fit(taken.saturating_sub(2));
        let title = panel.title.clone().fit(room.saturating_sub(taken + 1));
        if !title.is_empty() {
            let title = Line::of(" ").then(title).text(" ");
            self.line(area.x + 2, area.y, area.right().saturating_sub(2), &title, Style::new());
        }
        if !right.is_empty() {
            let right = Line::of(" ").then(right).text(" ");
            let x = area.right().saturating_sub(2).saturating_sub(u16::try_from(right.width()).unwrap_or(u16::MAX));
            self.line(x.max(area.x), area.y, area.right().saturating_sub(1), &right, Style::new());
        }
    }

    fn put(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(symbol);
            cell.set_style(style);
        }
    }

    fn line(&mut self, x: u16, y: u16, right: u16, line: &Line, base: Style) {
        let mut x = x;
        if y >= self.buffer.area.bottom() {
            return;
        }
        for span in &line.spans {
            let room = usize::from(right.saturating_sub(x));
            if room == 0 {
                return;
            }
            let style = base.patch(self.theme.style(span.role, span.paint));
            (x, _) = self.buffer.set_stringn(x, y, &span.text, room, style);
        }
    }
}

fn signs(glyphs: Glyphs, border: Border) -> Signs {
    match (glyphs.ascii, border) {
        (true, Border::Heavy) => Signs { horizontal: "=", vertical: "|", corners: ["+"; 4] },
        (true, _) => Signs { horizontal: "-", vertical: "|", corners: ["+"; 4] },
        (false, Border::Heavy) => Signs { horizontal: "═", vertical: "│", corners: ["┌", "┐", "└", "┘"] },
        (false, _) => Signs { horizontal: "─", vertical: "│", corners: ["┌", "┐", "└", "┘"] },
    }
}
