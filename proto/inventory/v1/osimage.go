package inventoryv1

// DefaultDracutmodules are the dracut modules of a new image; who wants others has changed them.
const DefaultDracutmodules = "luna,-i18n,-plymouth"
