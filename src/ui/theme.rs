//! Roles -> colours and attributes.

use crate::present::{Paint, Role};
use ratatui::style::{Color, Modifier, Style};

/// How roles look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// The user's own sixteen colours. The background is never painted and words keep their foreground, so that no palette
    /// can make a word unreadable: only signs, bars and reversed blocks are coloured.
    #[must_use]
    pub fn terminal() -> Self {
        Self { colour: true }
    }

    /// Attributes only: `NO_COLOR`, serial lines, paper.
    #[must_use]
    pub fn mono() -> Self {
        Self { colour: false }
    }

    /// The style of a piece of text.
    #[must_use]
    pub fn style(&self, role: Role, paint: Paint) -> Style {
        let add = Style::new().add_modifier(match paint {
            Paint::Word => word(role),
            Paint::Mark => mark(role),
            Paint::Badge => badge(role),
        });
        // Letters are only coloured as a reversed block: as a foreground no colour is readable on every background.
        let is_block = add.add_modifier.contains(Modifier::REVERSED);
        let is_coloured = self.colour && (paint == Paint::Mark || (paint == Paint::Badge && is_block) || is_banner(role));
        match colour(role).filter(|_| is_coloured) {
            Some(colour) => add.fg(colour),
            None => add,
        }
    }
}

/// Roles that are a reversed block wherever they stand.
fn is_banner(role: Role) -> bool {
    matches!(role, Role::BannerIncident | Role::BannerStale)
}

fn word(role: Role) -> Modifier {
    match role {
        Role::Watch | Role::HintKey | Role::Focus | Role::ModeArmed | Role::ModeSpectator | Role::DangerL1 => Modifier::BOLD,
        Role::Bad | Role::Select | Role::Identity | Role::DangerL2 | Role::DangerL3 => Modifier::REVERSED,
        Role::BannerIncident | Role::BannerStale => Modifier::REVERSED.union(Modifier::BOLD),
        Role::Unknown | Role::Stale => Modifier::UNDERLINED,
        _ => Modifier::empty(),
    }
}

fn mark(role: Role) -> Modifier {
    match role {
        Role::Bad | Role::Breach | Role::Watch | Role::Focus | Role::Canary => Modifier::BOLD,
        Role::Select => Modifier::REVERSED,
        _ => Modifier::empty(),
    }
}

fn badge(role: Role) -> Modifier {
    match role {
        Role::Unknown | Role::Stale => Modifier::REVERSED.union(Modifier::UNDERLINED),
        Role::Bad
        | Role::Watch
        | Role::BannerIncident
        | Role::BannerStale
        | Role::ModeArmed
        | Role::EnvProtected
        | Role::EnvShared
        | Role::EnvPrivate => Modifier::REVERSED.union(Modifier::BOLD),
        _ => Modifier::BOLD,
    }
}

fn colour(role: Role) -> Option<Color> {
    match role {
        Role::Ok | Role::EnvPrivate => Some(Color::Green),
        Role::Watch | Role::Stale | Role::BannerStale | Role::EnvShared | Role::Canary => Some(Color::Yellow),
        Role::Bad | Role::Breach | Role::BannerIncident | Role::EnvProtected | Role::DangerL3 => Some(Color::Red),
        Role::Unknown => Some(Color::Magenta),
        Role::Info | Role::Baseline => Some(Color::Blue),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 29] = [
        Role::Primary,
        Role::Secondary,
        Role::Disabled,
        Role::HintKey,
        Role::Border,
        Role::Focus,
        Role::Select,
        Role::Threshold,
        Role::Ok,
        Role::Watch,
        Role::Bad,
        Role::Unknown,
        Role::Stale,
        Role::Info,
        Role::Canary,
        Role::Baseline,
        Role::Breach,
        Role::Identity,
        Role::EnvProtected,
        Role::EnvShared,
        Role::EnvPrivate,
        Role::ModeObserve,
        Role::ModeArmed,
        Role::ModeSpectator,
        Role::DangerL1,
        Role::DangerL2,
        Role::DangerL3,
        Role::BannerIncident,
        Role::BannerStale,
    ];

    #[test]
    fn no_theme_paints_a_background_and_mono_has_no_colour_at_all() {
        for role in ALL {
            for paint in [Paint::Word, Paint::Mark, Paint::Badge] {
                assert_eq!(Theme::terminal().style(role, paint).bg, None, "{role:?}");
                let mono = Theme::mono().style(role, paint);
                assert_eq!((mono.fg, mono.bg), (None, None), "{role:?}");
            }
        }
    }

    #[test]
    fn words_keep_the_default_foreground_unless_they_are_a_reversed_block() {
        for role in ALL {
            let badge = Theme::terminal().style(role, Paint::Badge);
            assert!(badge.fg.is_none() || badge.add_modifier.contains(Modifier::REVERSED), "{role:?}");
        }
        for role in ALL.into_iter().filter(|r| !is_banner(*r)) {
            assert_eq!(Theme::terminal().style(role, Paint::Word).fg, None, "{role:?}");
        }
    }

    #[test]
    fn a_stale_value_never_looks_like_a_live_one() {
        for theme in [Theme::terminal(), Theme::mono()] {
            for paint in [Paint::Word, Paint::Badge] {
                assert_ne!(theme.style(Role::Stale, paint), theme.style(Role::Primary, paint));
            }
            assert_ne!(theme.style(Role::Bad, Paint::Word), theme.style(Role::Ok, Paint::Word));
        }
    }
}
