//! The edits of each kind of view for other languages. Records and enums there have no type parameters, so each
//! view has an enum of its own, made here.

/// Makes the enum of a view's edits, and the way from and to [`super::Edit`].
macro_rules! edits {
    ($(#[$doc:meta])* $name:ident of $item:ident as $one:ident, $many:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, uniffi::Enum)]
        pub enum $name {
            /// All items, in place of the old ones. A reset comes first and alone. An item that stays keeps its
            /// key.
            Reset {
                /// All of them, in order.
                $many: Vec<$item>,
            },
            /// Adds neighbouring items.
            Insert {
                /// The index of the first of them after the edit.
                at: u32,
                /// The neighbours, in order.
                $many: Vec<$item>,
            },
            /// Removes neighbouring items.
            Remove {
                /// The index of the first of them.
                at: u32,
                /// The number of items.
                count: u32,
            },
            /// Replaces an item by one with the same key.
            Replace {
                /// The index of the item.
                at: u32,
                /// The new item.
                $one: $item,
            },
            /// Moves an item; it keeps its key.
            Move {
                /// The old index of the item.
                from: u32,
                /// The new index, counted after the item was removed.
                to: u32,
                /// The new item.
                $one: $item,
            },
        }

        impl From<$crate::views::Edit<$item>> for $name {
            fn from(edit: $crate::views::Edit<$item>) -> Self {
                use $crate::views::Edit;
                use $crate::views::edits::narrow;
                match edit {
                    Edit::Reset { items } => Self::Reset { $many: items },
                    Edit::Insert { at, items } => Self::Insert {
                        at: narrow(at),
                        $many: items,
                    },
                    Edit::Remove { at, count } => Self::Remove {
                        at: narrow(at),
                        count: narrow(count),
                    },
                    Edit::Replace { at, item } => Self::Replace {
                        at: narrow(at),
                        $one: item,
                    },
                    Edit::Move { from, to, item } => Self::Move {
                        from: narrow(from),
                        to: narrow(to),
                        $one: item,
                    },
                }
            }
        }

        impl From<$name> for $crate::views::Edit<$item> {
            fn from(edit: $name) -> Self {
                use $crate::views::edits::widen;
                match edit {
                    $name::Reset { $many: items } => Self::Reset { items },
                    $name::Insert { at, $many: items } => Self::Insert {
                        at: widen(at),
                        items,
                    },
                    $name::Remove { at, count } => Self::Remove {
                        at: widen(at),
                        count: widen(count),
                    },
                    $name::Replace { at, $one: item } => Self::Replace {
                        at: widen(at),
                        item,
                    },
                    $name::Move { from, to, $one: item } => Self::Move {
                        from: widen(from),
                        to: widen(to),
                        item,
                    },
                }
            }
        }
    };
}

pub(super) use edits;

/// An index or a length as 32 bits; windows are far smaller.
pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) const fn widen(number: u32) -> usize {
    number as usize
}
