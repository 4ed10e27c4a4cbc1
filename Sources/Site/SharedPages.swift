package import Mustache

/// What the pages of several rooms use.
package enum SharedPages {
  /// The page that stands where there is no other: of what does not exist, and of what cannot be shown now. Each room fills
  /// it with words of its own.
  package static let missing = MustacheTemplate(page: PackageResources.missing_mustache)

  package static func add(to routes: Routes) {
    routes.add(PageAsset("/checkout.css", "text/css; charset=utf-8", PackageResources.checkout_css))
    routes.add(PageAsset("/again.js", "text/javascript; charset=utf-8", PackageResources.again_js))
  }
}
