/// <reference path="../pb_data/types.d.ts" />
// What the plugin `order-guard` does in Ironrule, as PocketBase's users write it: in one transaction, check that every product is there,
// active and in stock, compute the total and refuse another one, take the stock down, write the order.
onRecordCreateRequest((e) => {
  const app = e.app
  app.runInTransaction((transaction) => {
    e.app = transaction
    const refuse = (field, code, message) => {
      throw new BadRequestError("the order cannot be placed", { [field]: new ValidationError(code, message) })
    }
    const items = JSON.parse(e.record.getString("items"))
    if (!Array.isArray(items) || items.length < 1 || items.length > 100) refuse("items", "items_missing", "1 to 100 items")
    const wanted = new Map()
    for (const item of items) {
      const whole = Number.isInteger(item.quantity) && item.quantity >= 1 && item.quantity <= 1000
      if (typeof item.product !== "string" || !whole) refuse("items", "item_malformed", "an item has a product and a quantity")
      wanted.set(item.product, (wanted.get(item.product) || 0) + item.quantity)
    }
    let cents = 0
    for (const [id, quantity] of wanted) {
      let product
      try {
        product = transaction.findRecordById("products", id)
      } catch (_) {
        refuse("items", "product_unknown", "there is no such product")
      }
      if (!product.getBool("active")) refuse("items", "product_inactive", "the product is not for sale")
      const stock = product.getInt("stock")
      if (stock < quantity) refuse("items", "stock_insufficient", "only " + stock + " left")
      cents += Math.round(product.getFloat("price") * 100) * quantity
      product.set("stock", stock - quantity)
      transaction.save(product)
    }
    if (Math.round(e.record.getFloat("total") * 100) !== cents) refuse("total", "total_mismatch", "the items add up to " + cents / 100)
    e.record.set("status", "placed")
    e.next()
  })
  e.app = app
}, "orders")

// PocketBase opens SQLite with `synchronous = NORMAL`: a commit is not on disk when it is answered. For a comparison at equal durability
// the bench runs a second server with `FULL` on the one connection that writes.
onBootstrap((e) => {
  e.next()
  if ($os.getenv("BENCH_SYNCHRONOUS") === "full") {
    e.app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute()
  }
})

// Proves the setting: 1 is NORMAL, 2 is FULL.
routerAdd("GET", "/bench/synchronous", (e) => {
  const row = new DynamicModel({ synchronous: -1 })
  e.app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(row)
  return e.json(200, { synchronous: row.synchronous })
})
