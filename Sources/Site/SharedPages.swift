package import Mustache

/// The page and the assets that several rooms use.
package enum SharedPages {
  /// The page for what does not exist or cannot be shown now. Each room fills in words of its own.
  package static let missing = MustacheTemplate(page: PackageResources.missing_mustache)

  package static func add(to routes: Routes) {
    routes.add(PageAsset("/checkout.css", "text/css; charset=utf-8", PackageResources.checkout_css))
    routes.add(PageAsset("/again.js", "text/javascript; charset=utf-8", PackageResources.again_js))
  }
}
