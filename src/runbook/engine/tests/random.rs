use super::world::World;
#[test]
fn later() {
    let _ = std::mem::size_of::<World>();
}
