//! How closely a picture is looked at.

/// How closely a picture is looked at. More frames show smaller things and take as many times longer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Detail {
    /// One frame: the whole picture.
    #[default]
    Low,
    /// Up to five frames: four parts and the whole.
    Auto,
    /// Up to seventeen frames: sixteen parts and the whole, as the models were trained.
    High,
}
