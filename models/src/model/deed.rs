//! What a user or mail program does to one tree, in each of its forms: by number ([`Act`](super::act::Act)), by name
//! ([`Word`](super::scenario::Word)), and definite ([`Definite`]), as users carry it out.
//!
//! One value with one mapping between its forms, so that a random case and a scenario are played by the same hands, and
//! what a random case did can be said by name. Deliberately not here: how any of it is done (`users`).

use std::fmt::Debug;

use super::mail::Mail;

/// How the parts of a deed are given.
pub trait Form {
    /// A message that is there.
    type Mail: Clone + PartialEq + Debug;
    /// A folder.
    type Folder: Clone + PartialEq + Debug;
    /// A uniq that a message gets.
    type Uniq: Clone + PartialEq + Debug;
    /// A body that a message gets.
    type Body: Clone + PartialEq + Debug;
    /// A header that it gets.
    type Header: Clone + PartialEq + Debug;
    /// One of its letters.
    type Letter: Clone + PartialEq + Debug;
}

/// What is there, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Definite;

impl Form for Definite {
    type Mail = Mail;
    type Folder = String;
    type Uniq = String;
    type Body = u32;
    type Header = u8;
    type Letter = char;
}

/// See the module's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed<F: Form> {
    /// A message arrives in `new/`.
    Deliver(F::Folder, F::Uniq, F::Body, F::Header),
    /// One of `new/` goes to `cur/`.
    See(F::Mail),
    /// A letter is set or taken.
    Flag(F::Mail, F::Letter),
    /// To another folder, with its uniq.
    Move(F::Mail, F::Folder),
    /// To another folder under another uniq, as mutt does.
    MoveAnew(F::Mail, F::Folder, F::Uniq),
    /// A second file with equal bytes.
    Copy(F::Mail, F::Folder, F::Uniq),
    /// A second name of the same file.
    HardLink(F::Mail, F::Folder, F::Uniq),
    /// Gone.
    Delete(F::Mail),
    /// Another header, by renaming a new file over the old name.
    EditHeader(F::Mail, F::Header),
    /// Other bytes under the same name.
    Replace(F::Mail, F::Body, F::Header),
    /// Another uniq in the same folder.
    Rename(F::Mail, F::Uniq),
    /// Two messages change names.
    Swap(F::Mail, F::Mail),
    /// The mtime alone.
    Touch(F::Mail),
    /// A folder is made, with what it holds.
    MakeFolder(F::Folder),
    /// And removed, with what it holds.
    RemoveFolder(F::Folder),
    /// And renamed.
    RenameFolder(F::Folder, F::Folder),
    /// Nothing is done; but that the user came, and synced, counts.
    Rest,
}

/// Gives the parts of a deed in another form. Parts are asked for in their order: the folder before the uniq in it, the uniq
/// before the body.
pub trait Translate {
    /// The form that there is.
    type From: Form;
    /// The form that is wanted.
    type Into: Form;
    /// Why a part cannot be given.
    type Error;

    /// A message that is there.
    ///
    /// # Errors
    /// When it is not.
    fn mail(&mut self, mail: &<Self::From as Form>::Mail) -> Result<<Self::Into as Form>::Mail, Self::Error>;
    /// A folder.
    fn folder(&mut self, folder: &<Self::From as Form>::Folder) -> <Self::Into as Form>::Folder;
    /// A uniq for a message that comes into this folder.
    ///
    /// # Errors
    /// When there is none.
    fn uniq(
        &mut self,
        folder: &<Self::Into as Form>::Folder,
        uniq: &<Self::From as Form>::Uniq,
    ) -> Result<<Self::Into as Form>::Uniq, Self::Error>;
    /// The folder of a message.
    fn folder_of(&self, mail: &<Self::Into as Form>::Mail) -> <Self::Into as Form>::Folder;
    /// A body.
    ///
    /// # Errors
    /// When there is none.
    fn body(&mut self, body: &<Self::From as Form>::Body) -> Result<<Self::Into as Form>::Body, Self::Error>;
    /// A header.
    fn header(&mut self, header: &<Self::From as Form>::Header) -> <Self::Into as Form>::Header;
    /// A letter.
    fn letter(&mut self, letter: &<Self::From as Form>::Letter) -> <Self::Into as Form>::Letter;

    /// The whole deed.
    ///
    /// # Errors
    /// When a part of it cannot be given.
    fn deed(&mut self, deed: &Deed<Self::From>) -> Result<Deed<Self::Into>, Self::Error> {
        Ok(match deed {
            Deed::Deliver(folder, uniq, body, header) => {
                let folder = self.folder(folder);
                let uniq = self.uniq(&folder, uniq)?;
                Deed::Deliver(folder, uniq, self.body(body)?, self.header(header))
            }
            Deed::See(mail) => Deed::See(self.mail(mail)?),
            Deed::Flag(mail, letter) => Deed::Flag(self.mail(mail)?, self.letter(letter)),
            Deed::Move(mail, folder) => Deed::Move(self.mail(mail)?, self.folder(folder)),
            Deed::MoveAnew(mail, folder, uniq) => {
                let (mail, folder, uniq) = self.elsewhere(mail, folder, uniq)?;
                Deed::MoveAnew(mail, folder, uniq)
            }
            Deed::Copy(mail, folder, uniq) => {
                let (mail, folder, uniq) = self.elsewhere(mail, folder, uniq)?;
                Deed::Copy(mail, folder, uniq)
            }
            Deed::HardLink(mail, folder, uniq) => {
                let (mail, folder, uniq) = self.elsewhere(mail, folder, uniq)?;
                Deed::HardLink(mail, folder, uniq)
            }
            Deed::Delete(mail) => Deed::Delete(self.mail(mail)?),
            Deed::EditHeader(mail, header) => Deed::EditHeader(self.mail(mail)?, self.header(header)),
            Deed::Replace(mail, body, header) => Deed::Replace(self.mail(mail)?, self.body(body)?, self.header(header)),
            Deed::Rename(mail, uniq) => {
                let mail = self.mail(mail)?;
                let uniq = self.uniq(&self.folder_of(&mail), uniq)?;
                Deed::Rename(mail, uniq)
            }
            Deed::Swap(one, two) => Deed::Swap(self.mail(one)?, self.mail(two)?),
            Deed::Touch(mail) => Deed::Touch(self.mail(mail)?),
            Deed::MakeFolder(folder) => Deed::MakeFolder(self.folder(folder)),
            Deed::RemoveFolder(folder) => Deed::RemoveFolder(self.folder(folder)),
            Deed::RenameFolder(from, to) => Deed::RenameFolder(self.folder(from), self.folder(to)),
            Deed::Rest => Deed::Rest,
        })
    }

    /// The parts of a message that gets another place.
    ///
    /// # Errors
    /// When one of them cannot be given.
    #[expect(clippy::type_complexity, reason = "three parts in one form")]
    fn elsewhere(
        &mut self,
        mail: &<Self::From as Form>::Mail,
        folder: &<Self::From as Form>::Folder,
        uniq: &<Self::From as Form>::Uniq,
    ) -> Result<(<Self::Into as Form>::Mail, <Self::Into as Form>::Folder, <Self::Into as Form>::Uniq), Self::Error>
    {
        let (mail, folder) = (self.mail(mail)?, self.folder(folder));
        let uniq = self.uniq(&folder, uniq)?;
        Ok((mail, folder, uniq))
    }
}
